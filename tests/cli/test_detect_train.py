"""`homeostat detect --train`: an autoencoder is learnt once, kept as two files, and used again."""

import csv
import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from homeostat.base.errors import ConfigError
from homeostat.cli import detect_asked, detect_model, detect_refine, detect_train
from homeostat.cli.detect_layout import Wanted
from homeostat.cli.exits import Exit
from homeostat.cli.main import app
from homeostat.detect.vae_config import Config
from homeostat.server import encoders

STRAIGHT = Config(rounds=0, components=8, latent=2, window=2, spacing=2, run_length=1e3)
"""Without a network to train, so that the tests need neither JAX nor a minute."""


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["detect", *map(str, arguments)])


def related(seed: int, rows: int) -> np.ndarray:
    """Return three columns that one load moves."""
    rng = np.random.default_rng(seed)
    load = 10.0 + 2.0 * rng.standard_normal(rows)
    noise = 0.1 * rng.standard_normal((rows, 3))
    return np.asarray(np.stack([load, 2.0 * load, 30.0 - load], axis=1) + noise)


def text(values: np.ndarray, names: str = "load,cpu,free") -> str:
    rows = [f"{60 * k},{','.join(f'{v!r}' for v in row)}" for k, row in enumerate(values.tolist())]
    return "\n".join([f"timestamp,{names}", *rows]) + "\n"


def learnt(path: Path, source: Path, config: Config = STRAIGHT) -> dict[str, object]:
    asked = detect_train.Learning(
        source=source, output=path, wanted=Wanted(methods=("vae",)), config=config
    )
    return detect_train.train(asked)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model of a healthy past."""
    folder = tmp_path_factory.mktemp("model")
    (folder / "past.csv").write_text(text(related(1, 1500)))
    learnt(folder / "m.safetensors", folder / "past.csv")
    return folder / "m.safetensors"


@pytest.mark.slow
def test_a_broken_relation_shows_in_the_error_and_a_new_place_in_the_divergence(
    model: Path, tmp_path: Path
) -> None:
    values = related(2, 400)
    values[200:240, 1] = values[200:240, 1].mean()  # cpu no longer follows the load
    values[320:360] = np.array([21.0, 42.0, 9.0]) + 0.1 * values[:40] / 10.0  # relations hold
    (tmp_path / "in.csv").write_text(text(values[:, [2, 0, 1]], "free,load,cpu"))
    said = run(
        "-i", tmp_path / "in.csv", "-o", tmp_path / "out.csv", "--method", "vae", "--model", model
    )  # fmt: skip
    assert said.exit_code == Exit.OK, said.output
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [name for name in rows[0] if name.startswith("contribution_")] == [
        "contribution_load", "contribution_cpu", "contribution_free",
    ]  # fmt: skip

    def of(part: str) -> np.ndarray:
        return np.array([float(row[part] or "nan") for row in rows])

    error = of("reconstruction_error_neg_log10_p")
    divergence = of("latent_divergence_neg_log10_p")
    assert np.nanmedian(error[205:240]) > 2.0
    assert np.nanmedian(error[:200]) < 1.0
    assert np.nanmedian(divergence[325:360]) > 2.0
    assert np.nanmedian(divergence[205:240]) < 2.0
    assert of("reconstruction_error_alarm")[200:240].any()
    assert of("latent_divergence_alarm")[320:].any()
    assert of("alarm")[200:240].any()
    assert of("contribution_cpu")[205:240].mean() > 0.5


@pytest.mark.slow
def test_what_the_stack_flags_teaches_nothing_and_files_are_one_past(tmp_path: Path) -> None:
    first = related(3, 700)
    first[500:520, 0] += 60.0
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_text(text(first))
    (tmp_path / "in" / "b.csv").write_text(text(related(4, 500)))
    said = learnt(tmp_path / "m", tmp_path / "in")
    assert said["ticks"] == 1202  # and one unknown after each
    assert said["unknown"] == 2
    assert 20 <= int(str(said["flagged"])) < 300
    kept = detect_model.read(tmp_path / "m")
    assert float(kept.model.inputs.low[0] + kept.model.inputs.span[0]) < 30.0
    manifest = json.loads(encoders.manifest_of(tmp_path / "m").read_text())
    assert manifest["columns"] == ["load", "cpu", "free"]
    again = tmp_path / "again"
    learnt(again, tmp_path / "in")
    assert again.read_bytes() == (tmp_path / "m").read_bytes()


@pytest.mark.slow
def test_of_an_array_file_with_train_that_part_alone_is_learnt(tmp_path: Path) -> None:
    strange = related(5, 200) + 1000.0
    np.savez(tmp_path / "in.npz", train=related(6, 900), test=strange)
    said = learnt(tmp_path / "m", tmp_path / "in.npz")
    assert said["ticks"] == 1101
    assert int(str(said["flagged"])) >= 200
    low = detect_model.read(tmp_path / "m").model.inputs.low
    assert low[0] < 20.0


def test_a_past_that_is_too_short_or_all_trouble_is_refused(tmp_path: Path) -> None:
    (tmp_path / "short.csv").write_text(text(related(7, 90)))
    with pytest.raises(ConfigError, match=r"short\.csv: vae: .* windows to learn from"):
        learnt(tmp_path / "m", tmp_path / "short.csv")
    (tmp_path / "x.csv").write_text(text(related(7, 90), "a,b,c"))
    (tmp_path / "y.csv").write_text(text(related(7, 90), "a,b,d"))
    with pytest.raises(ConfigError, match=r"one model is of the same columns"):
        learnt(tmp_path / "m", tmp_path)
    assert not (tmp_path / "m").exists()


CONTRADICTIONS = {
    ("--method", "ewma"): "--train: ewma learns nothing beforehand",
    ("--method", "vae,ewma"): "--train: vae, ewma learns nothing",
    ("--method", "vae", "--model", "m"): "--model m: m: No such file or directory",
    ("--method", "vae", "--plot"): "--plot: does not go with --train",
    ("--method", "vae", "--state", "s"): "--state: does not go with --train",
    ("--method", "vae", "--false-incidents", "1"): "--false-incidents goes with --method stack",
}


@pytest.mark.parametrize("words", CONTRADICTIONS)
def test_options_that_contradict_are_named(words: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text(text(related(8, 30)))
    said = run("-i", tmp_path / "in.csv", "-o", tmp_path / "m", "--train", *words)
    assert isinstance(said.exception, ConfigError)
    assert CONTRADICTIONS[words] in str(said.exception)
    stream = run("-i", "-", "-o", tmp_path / "m", "--train", "--method", "vae")
    assert "learns from files and writes one" in str(stream.exception)
    over = run("-i", tmp_path / "in.csv", "-o", tmp_path / "in.csv", "--train", "--method", "vae")
    assert "is an input; choose another --output" in str(over.exception)


@pytest.mark.slow
def test_a_model_that_is_not_one_or_not_for_this_is_refused(model: Path, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text(text(related(9, 60), "load,cpu,disk"))
    words = ("-i", tmp_path / "in.csv", "-o", tmp_path / "out.csv", "--method", "vae", "--model")
    assert "no column of values is called 'free'" in str(run(*words, model).exception)
    chosen = run(*words, model, "--columns", "cpu,load,free")
    assert "is of the columns load, cpu, free, and --columns" in str(chosen.exception)
    unused = run("-i", tmp_path / "in.csv", "-o", tmp_path / "o.csv", "--model", model)
    assert "--model: none of the methods stack judges by a model" in str(unused.exception)
    for name, data in (("empty", b""), ("text", b"hello, I am no model\n" * 40)):
        (tmp_path / name).write_bytes(data)
        manifest = encoders.manifest_of(model).read_bytes()
        encoders.manifest_of(tmp_path / name).write_bytes(manifest)
        assert "autoencoder refused: sha256 is" in str(run(*words, tmp_path / name).exception)
    encoders.manifest_of(tmp_path / "text").unlink()
    assert "a model is two files" in str(run(*words, tmp_path / "text").exception)
    assert "Is a directory" in str(run(*words, tmp_path).exception)


@pytest.mark.long
def test_a_model_is_trained_from_the_command_line(tmp_path: Path) -> None:
    pytest.importorskip("optax")
    (tmp_path / "past.csv").write_text(text(related(10, 1200)))
    words = ("-i", tmp_path / "past.csv", "-o", tmp_path / "m", "--train", "--method", "vae")
    said = run(*words, "--json", "-")
    assert said.exit_code == Exit.OK, said.output
    summary = json.loads(said.stdout)
    assert summary["elbo_held_out"] > summary["elbo_before"]
    assert summary["columns"] == ["load", "cpu", "free"]
    (tmp_path / "in.csv").write_text(text(related(11, 200)))
    judge = ("-i", tmp_path / "in.csv", "-o", tmp_path / "out.csv", "--method", "vae")
    assert run(*judge, "--model", tmp_path / "m").exit_code == Exit.OK


@pytest.mark.slow
def test_what_speaks_against_a_model_is_said_and_nothing_is_written(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    side = detect_refine.Side(trouble=("i-1",), nothing=(), calm=0)
    worse = detect_refine.Compared(
        before=side,
        after=detect_refine.Side(trouble=(), nothing=("i-2",), calm=4),
        trouble=1,
        nothing=1,
        promised=0.1,
    )
    monkeypatch.setattr(detect_refine, "compare", lambda *_: worse)
    learning = partial(detect_train.Learning, config=STRAIGHT)
    monkeypatch.setattr(detect_asked, "Learning", learning)
    (tmp_path / "past.csv").write_text(text(related(1, 600)))
    words = ("--train", "--method", "vae", "--model", model, "-o", tmp_path / "m")
    said = run("-i", tmp_path / "past.csv", *words)
    assert said.exit_code == Exit.REFUSED, said.output
    assert "it no longer tells of i-1" in said.output
    assert "it tells of 1 stretches that people called nothing, where 0 were" in said.output
    assert "it begins 4 incidents in calm time, where 0 were and its run length promises 0.1" in (
        said.output
    )
    assert f"{model} stays as it is" in said.output
    assert not (tmp_path / "m").exists()
    other = tmp_path / "other.csv"
    other.write_text(text(related(1, 600), "load,cpu,disk"))
    assert "'free'" in str(run("-i", other, *words).exception)


def test_calm_incidents_that_the_run_length_allows_speak_against_nothing() -> None:
    def side(calm: int) -> detect_refine.Side:
        return detect_refine.Side(trouble=(), nothing=(), calm=calm)

    def against(old: int, new: int, promised: float) -> bool:
        compared = detect_refine.Compared(
            before=side(old), after=side(new), trouble=0, nothing=0, promised=promised
        )
        return bool(compared.against)

    assert not against(0, 1, 1.0)
    assert against(0, 1, 0.01)
    assert against(2, 9, 1.0)
    assert not against(9, 9, 1.0)

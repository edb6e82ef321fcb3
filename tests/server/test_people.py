"""People and their tokens: what opens, what does not, and what is never kept."""

import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.base.errors import ConfigError
from homeostat.base.types import TimeNs
from homeostat.server import people
from homeostat.server.people import DAY_NS, Role, Roster
from homeostat.server.people_file import editing, read

NOW = TimeNs(1_700_000_000 * 10**9)


def one(name: str = "ada", role: Role = Role.APPROVER, roster: Roster = ()) -> tuple[Roster, str]:
    return people.add(roster, name=name, role=role, now=NOW, lasts_ns=DAY_NS, by="root")


def test_a_token_says_who_and_is_kept_nowhere(tmp_path: Path) -> None:
    roster, token = one()
    found = people.find(roster, token, NOW)
    assert found is not None
    assert (found.name, found.role, found.named) == ("ada", Role.APPROVER, True)
    file = tmp_path / "people.json"
    with editing(file) as write:
        write(roster)
    assert token.split("_", 2)[2] not in file.read_text(encoding="utf-8")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert read(file) == roster


@given(data=st.data())
def test_no_other_text_opens_anything(data: st.DataObject) -> None:
    token = "hs_0123456789ab_" + "Az-_9" * 8 + "xyz"
    roster = (replace(one()[0][0], key="0123456789ab", digest=people.digest(token).hex()),)
    assert people.find(roster, token, NOW) is not None
    at = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters(exclude_characters=token[at]))
    wrong = data.draw(
        st.sampled_from([
            token[:at] + other + token[at + 1 :], token[:at], token + other, "", token.upper(),
        ])
    )  # fmt: skip
    assert people.find(roster, wrong, NOW) is None


def test_a_token_is_good_until_it_expires() -> None:
    roster, token = one()
    found = [people.find(roster, token, TimeNs(NOW + after)) for after in (0, DAY_NS - 1, DAY_NS)]
    assert [one is not None for one in found] == [True, True, False]


def test_revoking_takes_every_token_of_one_person_and_nobody_elses() -> None:
    roster, ada = one()
    roster, bob = one("bob", roster=roster)
    roster, fresh = people.rotate(
        roster, name="ada", now=NOW, lasts_ns=DAY_NS, grace_ns=DAY_NS // 2, by="root"
    )
    assert [people.find(roster, t, NOW) is not None for t in (ada, fresh, bob)] == [True] * 3
    roster = people.revoke(roster, name="ada", now=NOW)
    assert [people.find(roster, t, NOW) is not None for t in (ada, fresh, bob)] == [
        False, False, True,
    ]  # fmt: skip


@pytest.mark.parametrize("grace_ns", [0, 1000])
def test_a_rotated_token_ends_with_its_grace(grace_ns: int) -> None:
    roster, old = one()
    roster, fresh = people.rotate(
        roster, name="ada", now=NOW, lasts_ns=DAY_NS, grace_ns=grace_ns, by="root"
    )
    later = TimeNs(NOW + grace_ns)
    assert people.find(roster, old, later) is None
    assert grace_ns == 0 or people.find(roster, old, TimeNs(later - 1)) is not None
    found = people.find(roster, fresh, later)
    assert found is not None
    assert found.role is Role.APPROVER


@pytest.mark.parametrize("name", ["", "Ada", "two words", "owner", "-x", "a" * 65, "a\n", "é"])
def test_a_name_that_could_mislead_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="no name for a person"):
        one(name)


def test_a_name_is_one_persons() -> None:
    roster, _ = one()
    with pytest.raises(ConfigError, match="rotate"):
        one(roster=roster)
    again, _ = one(roster=people.revoke(roster, name="ada", now=NOW))
    assert len(again) == 2
    with pytest.raises(ConfigError, match="ada"):
        people.revoke(roster, name="bob", now=NOW)
    with pytest.raises(ConfigError, match="ada"):
        people.rotate(roster, name="bob", now=NOW, lasts_ns=1, grace_ns=0, by="root")


@pytest.mark.parametrize("lasts_ns", [0, -1, people.LONGEST_NS + 1])
def test_no_token_is_for_ever(lasts_ns: int) -> None:
    with pytest.raises(ConfigError, match="400 days"):
        people.add((), name="ada", role=Role.VIEWER, now=NOW, lasts_ns=lasts_ns, by="x")


def test_people_added_at_once_are_all_there(tmp_path: Path) -> None:
    file = tmp_path / "people.json"

    def join(name: str) -> None:
        with editing(file) as write:
            write(one(name, roster=read(file))[0])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(join, [f"p{i}" for i in range(24)]))
    assert {entry.name for entry in read(file)} == {f"p{i}" for i in range(24)}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["people.json", "people.json.lock"]


@pytest.mark.parametrize(
    "text", ["", "[]", '{"format": 2, "people": []}', '{"format": 1, "people": [{}]}', "\x00"]
)
def test_a_file_that_is_none_of_ours_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "people.json"
    file.write_text(text, encoding="utf-8")
    file.chmod(0o600)
    with pytest.raises(ConfigError, match="people file"):
        read(file)

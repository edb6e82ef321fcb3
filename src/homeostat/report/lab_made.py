"""How a file of figures was made: the fields that each of them begins with."""

from dataclasses import dataclass

from homeostat.report.lab_results import Machine


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where figures come from; the head of each file of them, never a file by itself.

    Attributes:
        format: Name and version of the file's form.
        version: Of the package.
        made_at: ISO 8601 time of the end of the run.
        commit: Of the program's repository, with `+` where it was changed since; empty = no
            repository.
        command: The command line that makes it again.
        wall_s: Seconds of computing, all workers together.
        machine: Where it ran.
        catalogue: Its name or file.
        catalogue_digest: SHA-256 of the scenario file.
    """

    format: str
    version: str
    made_at: str
    commit: str
    command: str
    wall_s: float
    machine: Machine
    catalogue: str
    catalogue_digest: str

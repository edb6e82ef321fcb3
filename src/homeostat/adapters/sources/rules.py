"""What a preset is made of: rules that say what the series of one sample name mean.

The presets themselves are in `presets`.
"""

from dataclasses import dataclass

from homeostat.base.evidence import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What the series of one sample name mean.

    Attributes:
        sample: The sample's name as it stands on the line (`_total`, `_bucket` included).
        signal: The raw signal; ends in `:` when `name_label` completes it.
        kind: How to read the value.
        where: (label, prefixes): the label's value must start with one of the prefixes.
        unless: (label, values): its value must be none of these; an empty one is no such label.
        subject_label: Label that names the pool the series speaks for; empty: the source's subject.
        name_label: Label whose value completes the signal's name (a feature, a version).
        scale: Factor into the signal's unit, applied to `le` (buckets) or to the value.
        zero_if: Sample names that prove a zero. Labelled counters appear on first use; when one of
            these samples is there for the same subject, an absent series is a true zero.
    """

    sample: str
    signal: str
    kind: Kind
    where: tuple[tuple[str, tuple[str, ...]], ...] = ()
    unless: tuple[tuple[str, tuple[str, ...]], ...] = ()
    subject_label: str = ""
    name_label: str = ""
    scale: float = 1.0
    zero_if: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """How to read one kind of page.

    Attributes:
        name: What the configuration calls it.
        rules: See `Rule`.
        started_sample: Gauge with the process's start, in seconds since 1970; empty if none.
        uptime_sample: Gauge with seconds since the start, where there is no better; empty if none.
    """

    name: str
    rules: tuple[Rule, ...]
    started_sample: str = ""
    uptime_sample: str = ""

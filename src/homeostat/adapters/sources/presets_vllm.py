"""The preset of vLLM's own metrics page: requests, tokens, and memory for sequences.

Names are those of the page since its second engine: `vllm:kv_cache_usage_perc`. Pages from before
say `vllm:gpu_cache_usage_perc`, which is not read, because some versions show both. The web server
counts requests by path and status. A page of several engines (`--data-parallel-size`) shows each
gauge once for each and is refused whole: give every engine a page of its own.
"""

from typing import Final

from homeostat.adapters.sources.rules import Preset, Rule
from homeostat.base import raw
from homeostat.base.evidence import Kind

# Health checks and the page itself are requests too; work is asked for below this path.
_WORK: Final = ("handler", ("/v1/",))
# A counter by path and status appears with its first request. That the engine lives is no proof of
# a zero: pages of older versions have no such counter at all, however many requests there were.
_COUNTED: Final = ("http_requests_total",)

VLLM: Final = Preset(
    name="vllm",
    started_sample="process_start_time_seconds",
    rules=(
        Rule(
            sample="http_requests_total",
            signal=raw.REQUESTS_ARRIVED,
            kind=Kind.COUNTER,
            where=(_WORK,),
            zero_if=_COUNTED,
        ),
        Rule(
            sample="http_requests_total",
            signal=raw.REQUESTS_OK,
            kind=Kind.COUNTER,
            where=(_WORK, ("status", ("1", "2", "3", "4"))),
            zero_if=_COUNTED,
        ),
        Rule(
            sample="http_requests_total",
            signal=raw.REQUESTS_5XX,
            kind=Kind.COUNTER,
            where=(_WORK, ("status", ("5",))),
            zero_if=_COUNTED,
        ),
        Rule(
            sample="vllm:e2e_request_latency_seconds_bucket",
            signal=raw.LATENCY,
            kind=Kind.BUCKET,
            scale=1000.0,
        ),
        Rule(
            sample="vllm:e2e_request_latency_seconds_sum",
            signal=raw.LATENCY_SUM,
            kind=Kind.COUNTER,
            scale=1000.0,
        ),
        Rule(sample="vllm:num_requests_running", signal=raw.INFLIGHT, kind=Kind.GAUGE),
        Rule(sample="vllm:num_requests_waiting", signal=raw.QUEUE, kind=Kind.GAUGE),
        Rule(sample="vllm:kv_cache_usage_perc", signal=raw.KV_USAGE, kind=Kind.GAUGE),
        Rule(sample="vllm:num_preemptions_total", signal=raw.PREEMPTIONS, kind=Kind.COUNTER),
        Rule(sample="vllm:prompt_tokens_total", signal=raw.PROMPT_TOKENS, kind=Kind.COUNTER),
        Rule(sample="vllm:generation_tokens_total", signal=raw.GENERATED_TOKENS, kind=Kind.COUNTER),
        Rule(sample="process_resident_memory_bytes", signal=raw.MEMORY, kind=Kind.GAUGE),
        Rule(sample="process_start_time_seconds", signal=raw.STARTED_AT, kind=Kind.GAUGE),
        Rule(sample="process_cpu_seconds_total", signal=raw.CPU_SECONDS, kind=Kind.COUNTER),
    ),
)

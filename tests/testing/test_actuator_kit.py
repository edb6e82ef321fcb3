"""The kit of actuators finds each lie by its own sentence; what cannot fail checks nothing."""

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

sys.path.insert(0, str(Path(__file__).parents[1] / "adapters" / "actuators"))
import kubernetes_fake as fake

from homeostat.adapters.actuators._kubernetes_object import ObjectActuator
from homeostat.adapters.actuators.kubernetes import KubernetesConfig, build
from homeostat.base.intent import Intent, Receipt, ReceiptStatus
from homeostat.base.ports import Capabilities
from homeostat.base.units import TimeNs
from homeostat.base.world import Levers, Snapshot
from homeostat.testing.actuator import Target, check_actuator


class Honest:
    """An actuator that keeps its promises, for others to break one of them."""

    def __init__(self, inner: ObjectActuator) -> None:
        self.inner = inner

    @property
    def name(self) -> str:
        return self.inner.name

    def capabilities(self) -> Capabilities:
        return self.inner.capabilities()

    async def read(self, deployment: str, now: TimeNs) -> Snapshot:
        return await self.inner.read(deployment, now)

    async def apply(self, intent: Intent, now: TimeNs) -> Receipt:
        return await self.inner.apply(intent, now)

    async def close(self) -> None:
        await self.inner.close()


class TakesSilenceForNo(Honest):
    @override
    async def apply(self, intent: Intent, now: TimeNs) -> Receipt:
        receipt = await self.inner.apply(intent, now)
        if receipt.status is ReceiptStatus.UNKNOWN:
            return replace(receipt, status=ReceiptStatus.NOT_APPLIED)
        return receipt


class SaysDoneAndDoesNothing(Honest):
    @override
    async def apply(self, intent: Intent, now: TimeNs) -> Receipt:
        return Receipt(intent_id=intent.id, status=ReceiptStatus.DONE, at=now)


class ForgetsWhoWrote(Honest):
    @override
    async def read(self, deployment: str, now: TimeNs) -> Snapshot:
        world = await self.inner.read(deployment, now)
        return replace(world, stamps=tuple(replace(one, intent=None) for one in world.stamps))


class ComparesNothing(Honest):
    @override
    async def apply(self, intent: Intent, now: TimeNs) -> Receipt:
        stamp = (await self.inner.read("credit", now)).stamps[0]
        fresh = replace(intent, token=stamp.token, pre=())
        return await self.inner.apply(fresh, now)


class IgnoresEpochs(Honest):
    @override
    async def apply(self, intent: Intent, now: TimeNs) -> Receipt:
        stamp = (await self.inner.read("credit", now)).stamps[0]
        return await self.inner.apply(
            replace(intent, epoch=max(intent.epoch, stamp.epoch or 0)), now
        )


class HasCoarserSteps(Honest):
    @override
    def capabilities(self) -> Capabilities:
        return replace(self.inner.capabilities(), granularity=(("replicas.", 2.0),))


class HasNoWayBack(Honest):
    @override
    def capabilities(self) -> Capabilities:
        return replace(self.inner.capabilities(), undo=False)


class HidesItsLevers(Honest):
    @override
    def capabilities(self) -> Capabilities:
        return replace(self.inner.capabilities(), levers=("weight.",))


@asynccontextmanager
async def target(folder: Path, make: Callable[[ObjectActuator], Any]) -> AsyncIterator[Target]:
    token = folder / "token"
    token.write_text(fake.TOKEN, encoding="utf-8")
    cluster = fake.Cluster()
    cluster.create(fake.DEPLOYMENTS, fake.deployment())
    with fake.serving(cluster) as port:

        def built(url: str) -> Any:
            config = KubernetesConfig(
                url=url, namespace="ml", deployment="chat", token_file=token, read_timeout_s=3.0
            )
            return make(build(config))

        async def foreign(levers: Levers) -> None:
            change = {"spec": {"replicas": dict(levers)["replicas.a"]}}
            cluster.write(f"{fake.DEPLOYMENTS}/chat", change, "kubectl")

        yield Target(
            deployment="credit",
            host="127.0.0.1",
            port=port,
            make=built,
            change=(("replicas.a", 5),),
            illegal=((("replicas.a", 0),),),
            foreign=foreign,
            read_within_s=3.0,
        )


@pytest.mark.live
@pytest.mark.parametrize(
    ("liar", "said"),
    [
        (TakesSilenceForNo, "lost_request: with lose_writes a write was"),
        (SaysDoneAndDoesNothing, "the post-image is not live"),
        (ForgetsWhoWrote, "a target that compares also says whose write it was"),
        (ComparesNothing, "conflict: a write on an old token was"),
        (IgnoresEpochs, "a write of an older epoch was"),
        (HasCoarserSteps, "between the steps of 2.0 that it declares"),
        (HasNoWayBack, "it cannot take back what it does"),
        (HidesItsLevers, "which is none of its levers"),
    ],
)
async def test_a_lie_is_found_by_its_sentence(
    tmp_path: Path, liar: type[Honest], said: str
) -> None:
    async with target(tmp_path, liar) as lied:
        with pytest.raises(AssertionError, match=said):
            await check_actuator(lied)

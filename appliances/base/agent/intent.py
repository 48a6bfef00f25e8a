"""What should be on this host: the files that the installer and people wrote, read together."""

from __future__ import annotations

from dataclasses import dataclass

from appliances.base.agent import distribution, imagelist
from appliances.base.agent.applied import PlanStore
from appliances.base.agent.distribution import Distribution
from appliances.base.agent.imagelist import ImageList
from appliances.base.agent.paths import Paths
from appliances.base.agent.plan import Plan


@dataclass(frozen=True)
class Intent:
    """The distribution is as the plan wants it."""

    distribution: Distribution
    image_list: ImageList
    plan: Plan


def read_intent(paths: Paths, plans: PlanStore) -> Intent:
    """Read distribution, image list and the plan in force. Raises AgentError naming file and key."""
    shipped = distribution.load_distribution(paths.distribution)
    image_list = imagelist.load_images(paths.image_list)
    plan = plans.current(shipped).plan
    return Intent(plan.wanted(shipped), image_list, plan)

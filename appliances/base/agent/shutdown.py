"""`python -m appliances.base.agent.shutdown`: end the containers in order, because the host is going down.

asrbox-containers.service calls it after the agent has ended and while Incus still runs. Without it systemd would wait
for the containers' processes and then kill them, databases included.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from appliances.base.agent.distribution import Appliance, load_distribution
from appliances.base.agent.errors import AgentError
from appliances.base.agent.incus import Incus
from appliances.base.agent.paths import Paths

Say = Callable[[str], None]


def stop_all(levels: list[list[Appliance]], connect: Callable[[], Incus], say: Say) -> bool:
    """Stop what runs, level by level, a level at once; returns whether all of it could be stopped.

    `connect` gives each thread a connection of its own. One that will not stop does not keep the others up.
    """
    running = {name for name, found in connect().instances().items() if found["status"] == "Running"}

    def stop(appliance: Appliance) -> bool:
        try:
            connect().stop(appliance.instance, appliance=appliance.name)
        except AgentError as error:
            say(error.sentence())
            return False
        say(f"stopped {appliance.name}")
        return True

    done = True
    for level in levels:
        wanted = [appliance for appliance in level if appliance.instance in running]
        if wanted:
            with ThreadPoolExecutor(len(wanted)) as threads:
                done = all(list(threads.map(stop, wanted))) and done
    return done


def main() -> int:
    """Exit code 0 when every container has ended."""

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    try:
        levels = load_distribution(Paths.of_environment().distribution).stop_levels()
        return 0 if stop_all(levels, Incus, say) else 1
    except AgentError as error:
        say(error.sentence())
        return 1


if __name__ == "__main__":
    sys.exit(main())

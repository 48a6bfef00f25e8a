"""`python -m appliances.base.agent.asrctl`."""

from appliances.base.agent.asrctl.commands import main

main(prog_name="asrctl")

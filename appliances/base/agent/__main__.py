"""`python -m appliances.base.agent`: the host agent."""

from appliances.base.agent.agent import main

main()

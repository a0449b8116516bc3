"""Jobs on Ray: the plan, the stateless tasks, the driver that orders their parts, the collector that commits them."""

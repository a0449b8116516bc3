"""Delivery on Ray: the plan, stateless tasks, the driver that orders their parts, the collector that keeps them."""

"""The appliance: it puts the parts together and keeps them running.

Configuration, the composition root, the supervision of machine hosts, timers, MQTT, health
and the command line. Nobody imports this package.
"""

"""The wire to an MQTT broker: a link that connects, publishes and hears, and the Sparkplug B payload as bytes.

The only room that imports paho and protobuf (extra `plant`). What is told, and when, is `station/northbound/sparkplug`.
"""

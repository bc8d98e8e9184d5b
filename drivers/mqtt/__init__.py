"""The wire to an MQTT broker: a link that connects, publishes and hears, and the Sparkplug B payload as bytes.

The only room that imports paho and protobuf (extra `plant`). What is published and when is decided in
`station/northbound/sparkplug`.
"""

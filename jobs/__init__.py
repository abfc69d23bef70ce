"""What to make, who may, in which order, and the record of it.

`domain` holds pure values and rules, `analysis` and `kinds` what can be known of a program,
`designs`, `slicing` and `store` reach files, slicers and the database, and `services` are the
use cases that the pages, the API and the command line call. Nothing here knows HTTP or MQTT.
"""

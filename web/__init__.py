"""The node's pages and its HTTP API.

`create_app` in `web.app` puts services behind HTTP: pages by task in `pages`, JSON by resource in
`api`, live values in `live`. The package asks `jobs.services` and knows no table and no wire. Pages
work as plain forms; htmx and one small module only make them livelier.
"""

"""File and environment into one frozen `Config` (contract §1). Nothing here is needed after the start, but by a reload.

`table` has every key. `reader` collects what was given for it, by the kinds of values that `values` and its neighbours know
(`addresses`, `http_names`, `urls`, `trees`, `files`, `certificates`, `signing_secret`, `status_map`, `success`, `proxying`).
`checks` says what has to fit together, `read` makes the `Config` of it all. `yaml_reader` makes nodes of YAML, `cpus` counts
the processors that may be used, `schema` says it all to editors.
"""

"""Turns file and environment into one frozen `Config` (contract §1). After the start, only a reload needs this.

`table` lists every key. `reader` collects the values, with the converters of `values` and its neighbours (`addresses`,
`http_names`, `urls`, `trees`, `files`, `certificates`, `signing_secret`, `status_map`, `success`, `proxying`). `checks` compares
keys with each other, `read` builds the `Config`. `yaml_reader` parses YAML, `cpus` counts the usable CPUs, `schema` writes the
JSON Schema for editors.
"""

"""Makes a release: what `scripts/release VERSION` does, in the order of `command.release`.

`version` `changelog` `epoch` `places` `address` `notes` are texts in, texts out. `repository` asks git; `checkout` is the clean
copy in which `distributions` `chart` `bom` `images` make the files of dist/, by `archive` the packed ones.
`refusal` is how any of them says no.
"""

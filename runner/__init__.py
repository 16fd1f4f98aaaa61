"""Running the graphs: configuration, the run folder, the document runner, reviews that wait, forks, remote engines.

`config` is the one typed configuration and `fingerprint` says which of it results depend on; `run_folder` opens a
folder with all that a session needs, and `document_runner` or `remote` works on its documents.
"""

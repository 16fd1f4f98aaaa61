"""Models on this machine: weights, llama.cpp servers, who starts and shares them.

`weights` finds and checks files, `llama_server` runs llama.cpp, `serving` starts and shares it. Nothing is imported
here: the server's library is an extra, and is loaded when a local model is asked for.
"""

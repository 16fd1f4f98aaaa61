"""The graphs on a LangGraph server: exports of langgraph.json, context schemas, the server's runtime, searches.

`exports` holds the factories that a server calls, `wrap` and `nodes` put a request's services around the nodes of a
loop, and `runtime` opens the server's folder once a process.
"""

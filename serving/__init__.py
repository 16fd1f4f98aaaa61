"""The graphs on a LangGraph server: exports of langgraph.json, context schemas, the server's runtime, searches."""

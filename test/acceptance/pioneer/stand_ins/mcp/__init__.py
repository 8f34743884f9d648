"""Stands in for the package mcp, which astra-assistants imports for tools that are of no matter here."""


class ClientSession:
    pass


class StdioServerParameters:
    pass

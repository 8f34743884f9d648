class CallToolResult:
    pass

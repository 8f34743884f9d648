def stdio_client(parameters):
    raise NotImplementedError

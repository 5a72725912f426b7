import time


class Timing(object):
    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        begun = time.time()
        response = self.get_response(request)
        response["X-Seconds"] = "%.3f" % (time.time() - begun)
        return response

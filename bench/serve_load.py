"""How `pith serve` bears many clients at once.

serve_load.py URL [CLIENTS [SECONDS [TOKENS]]]   each client asks for TOKENS tokens again and again
"""
import http.client
import json
import sys
import threading
import time
import urllib.parse

WORDS = "river stone cloud garden winter paper silver music harbor window forest letter".split()


class Load:
    def __init__(self, url, tokens, end):
        self.host, self.tokens, self.end = urllib.parse.urlparse(url).netloc, tokens, end
        self.lock = threading.Lock()
        self.done = self.failed = self.written = 0
        self.seconds, self.faults = [], []

    def client(self, number):
        connection = http.client.HTTPConnection(self.host, timeout=300)
        turn = 0
        while time.time() < self.end:
            words = [WORDS[(number * 5 + turn * 3 + i * (number + 1)) % len(WORDS)] for i in range(12)]
            body = {"prompt": f"Story {number} of the " + " and the ".join(words) + ":", "max_tokens": self.tokens,
                    "temperature": 0.8, "seed": number * 1000 + turn, "ignore_eos": True}
            begin = time.time()
            try:
                connection.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
                response = connection.getresponse()
                answer = json.loads(response.read())
                good = response.status == 200 and answer["usage"]["completion_tokens"] == self.tokens
                fault = None if good else str(answer)[:200]
            except Exception as e:  # whatever goes wrong is a failed request
                good, fault = False, repr(e)
                connection.close()
            with self.lock:
                self.done += good
                self.failed += not good
                self.written += self.tokens if good else 0
                self.seconds.append(time.time() - begin)
                if fault:
                    self.faults.append(fault)
            turn += 1


def main():
    url = sys.argv[1]
    clients, seconds, tokens = (int(sys.argv[i]) if len(sys.argv) > i else d for i, d in ((2, 64), (3, 60), (4, 32)))
    begin = time.time()
    load = Load(url, tokens, begin + seconds)
    threads = [threading.Thread(target=load.client, args=(i,)) for i in range(clients)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    took = time.time() - begin
    times = sorted(load.seconds)
    print(f"{clients} clients, {took:.1f} s: {load.done} requests answered, {load.failed} failed, "
          f"{load.written / took:.1f} tokens/s; half took under {times[len(times) // 2]:.2f} s, all under {times[-1]:.2f} s")
    for fault in load.faults[:3]:
        print(fault)


main()

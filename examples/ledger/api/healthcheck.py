"""Say what /health says; exit 0 if that is good."""

import http.client
import sys

connection = http.client.HTTPConnection("127.0.0.1", 8000, timeout=5)
connection.request("GET", "/health")
response = connection.getresponse()
print(response.status, response.read().decode())
sys.exit(response.status != 200)

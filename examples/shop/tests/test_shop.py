"""The shop from outside, as its users meet it."""

import json
import os
import time
import unittest
import uuid
from collections.abc import Callable
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

API, APP = os.environ["API_URL"], os.environ["APP_URL"]


def get(url: str) -> str:
    with urlopen(url, timeout=5) as response:
        return response.read().decode()


def order(item: str, quantity: int = 1) -> dict[str, Any]:
    body = json.dumps({"item": item, "quantity": quantity}).encode()
    with urlopen(Request(f"{API}/orders", body, {"Content-Type": "application/json"}), timeout=5) as response:
        return json.load(response)


def stats() -> dict[str, Any]:
    return json.loads(get(f"{API}/stats"))


def eventually(condition: Callable[[], bool], seconds: float = 15) -> bool:
    end = time.monotonic() + seconds
    while not (met := condition()) and time.monotonic() < end:
        time.sleep(0.5)
    return met


class Shop(unittest.TestCase):
    def test_api_is_healthy(self) -> None:
        self.assertEqual(json.loads(get(f"{API}/health")), {"status": "ok", "database": "ok", "cache": "ok"})

    def test_app_is_healthy(self) -> None:
        self.assertEqual(json.loads(get(f"{APP}/health")), {"status": "ok", "api": "ok", "cache": "ok"})

    def test_an_order_is_stored(self) -> None:
        stored = order("oolong", 3)
        self.assertEqual((stored["item"], stored["quantity"]), ("oolong", 3))
        self.assertIn(stored, json.loads(get(f"{API}/orders")))

    def test_an_order_is_counted(self) -> None:
        before = stats()["orders_counted"]
        order("sencha")
        self.assertEqual(stats()["orders_counted"], before + 1)

    def test_an_order_of_nothing_is_refused(self) -> None:
        with self.assertRaises(HTTPError) as refused:
            order("nothing", 0)
        refused.exception.close()
        self.assertEqual(refused.exception.code, 422)

    def test_an_order_is_on_the_page(self) -> None:
        item = f"tea {uuid.uuid4()}"
        order(item)
        self.assertIn(f"<td>{item}</td>", get(APP))

    def test_the_scheduler_sums_up(self) -> None:
        number = order("assam")["id"]
        self.assertTrue(eventually(lambda: (stats()["summary"] or {"orders": 0})["orders"] >= number))


if __name__ == "__main__":
    unittest.main()

"""Numbers about calls, for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0)


class Meter:
    """Counts the calls of one RPC; its label values are looked up once."""

    __slots__ = ("_calls", "_codes", "_in_flight", "_method", "_seconds")

    def __init__(self, metrics: "CallMetrics", method: str) -> None:
        self._method = method
        self._calls = metrics.calls
        self._codes: dict[str, Counter] = {}
        self._in_flight = metrics.in_flight.labels(method)
        self._seconds = metrics.seconds.labels(method)

    def begin(self) -> None:
        self._in_flight.inc()

    def end(self, code: str, seconds: float) -> None:
        self._in_flight.dec()
        self._seconds.observe(seconds)
        counter = self._codes.get(code)
        if counter is None:
            counter = self._codes[code] = self._calls.labels(self._method, code)
        counter.inc()


class CallMetrics:
    """The three metrics that every RPC shares."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.calls = Counter(
            "carelane_rpc_calls", "Calls that ended.", ("method", "code"), registry=registry
        )
        self.seconds = Histogram(
            "carelane_rpc_seconds",
            "How long calls took; a stream counts from open to end.",
            ("method",),
            registry=registry,
            buckets=BUCKETS,
        )
        self.in_flight = Gauge(
            "carelane_rpc_in_flight", "Calls that are open now.", ("method",), registry=registry
        )

    def meter(self, method: str) -> Meter:
        return Meter(self, method)

"""The service does what its OpenAPI document says, for requests that schemathesis makes up."""

import pytest

hypothesis = pytest.importorskip("hypothesis", reason="softjpeg[test] is not installed")
schemathesis = pytest.importorskip("schemathesis", reason="softjpeg[test] is not installed")
requests = pytest.importorskip("requests", reason="softjpeg[test] is not installed")
app = pytest.importorskip("softjpeg.corpus.service.app", reason="softjpeg[serve] is missing")
testclient = pytest.importorskip("starlette.testclient")


@pytest.fixture(scope="module")
def client():
    settings = app.Settings({"universal": "universal", "default": "default"})
    with testclient.TestClient(app.make_app(settings)) as client:
        yield client


@pytest.fixture
def schema(client):
    return schemathesis.openapi.from_dict(client.get("/openapi.json").json())


IMAGES = [("/v1/encode", "POST"), ("/v1/batch", "POST")]
HEALTH = [(path, "GET") for path in ("/livez", "/readyz", "/metrics")]


@pytest.mark.parametrize(
    ("path", "method", "mode"),
    [(*o, "POSITIVE") for o in IMAGES + HEALTH] + [(*o, "NEGATIVE") for o in IMAGES],
)
def test_requests_made_up_from_the_document(client, schema, path, method, mode):
    operation = schema[path][method]
    answered = set()

    @hypothesis.settings(
        max_examples=20,
        deadline=None,
        derandomize=True,
        phases=[hypothesis.Phase.generate],
        database=None,
        suppress_health_check=[*hypothesis.HealthCheck],
    )
    @hypothesis.given(case=operation.as_strategy(generation_mode=schemathesis.GenerationMode[mode]))
    def answers(case):
        sent = requests.Request(**case.as_transport_kwargs(base_url="http://testserver")).prepare()
        headers = {name: value for name, value in sent.headers.items() if name != "Cookie"}
        response = client.request(sent.method, sent.url, content=sent.body, headers=headers)
        answered.add(response.status_code)
        assert str(response.status_code) in operation.definition.raw["responses"] or (
            response.status_code == 405
        )
        if response.status_code >= 400 and response.status_code != 405:
            assert {*response.json()} == {"error", "detail"}

    answers()
    assert answered <= {200, 400, 405, 413, 415, 422}
    assert answered & {200, 400, 415, 422}

"""The application: its error shape and its own failures."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/billing/nothing", 404, "not_found"),
        ("GET", "/billing/usage/", 404, "not_found"),
        ("PUT", "/billing/usage", 405, "method_not_allowed"),
        ("GET", "/billing/topup", 405, "method_not_allowed"),
        ("DELETE", "/billing/checkouts", 405, "method_not_allowed"),
    ],
)
def test_unknown_route_and_wrong_method_have_the_error_shape(api, method, path, status, code):
    response = api(method, path)
    assert response.status_code == status
    assert set(response.json()) == {"success", "message", "error_code"}
    assert (response.json()["success"], response.json()["error_code"]) == (False, code)
    assert bool(response.headers.get("allow")) == (status == 405)


def test_bug_in_the_emulator_is_a_logged_500(emulator, api, monkeypatch, caplog):
    def broken():
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(emulator.state.ledger, "usage", broken)
    response = api.get("/billing/usage")
    assert (response.status_code, response.json()["error_code"]) == (500, "internal_error")
    assert (emulator.calls()[0].status, emulator.calls()[0].accepted) == (500, False)
    assert "The emulator failed at GET /billing/usage" in caplog.text
    assert "a bug" in caplog.text


@pytest.mark.parametrize(
    ("path", "body", "what", "next_step"),
    [
        (
            "/balance",
            {"credits": -1},
            "credits must be between 0 and 1000000000, got -1",
            "correct the value and try again",
        ),
        ("/checkouts/cs_test_x/pay", {}, "no checkout cs_test_x", "take an id from GET /_emulator/state"),
        (
            "/charge",
            {"credits": 4},
            "Insufficient credits: other needs 4, the credit balance is 3",
            "raise the balance with POST /_emulator/balance",
        ),
    ],
)
def test_control_error_has_a_next_step(control, path, body, what, next_step):
    message = control("POST", path, body).json()["message"]
    assert message == f"{what}. Nothing was changed. Next step: {next_step}."


def test_api_error_has_no_next_step_of_the_emulator(api):
    assert api.post("/billing/topup", {"amount": 0}).json()["message"] == "amount must be between 1 and 999999, got 0"

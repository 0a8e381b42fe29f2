"""
Describes this provider to Airflow.

Airflow calls it in every process, so it imports nothing.
"""

_CONNECTION_FIELDS = {
    "timeout": {
        "label": "Timeout (seconds)",
        "description": "How long a complete response of VideoDB may take. Default: 30.",
        "schema": {"type": ["number", "null"], "exclusiveMinimum": 0, "maximum": 3600},
    },
    "max_retries": {
        "label": "Retries",
        "description": ("How often to retry a failed read. Purchases are never retried automatically. Default: 3."),
        "schema": {"type": ["integer", "null"], "minimum": 0, "maximum": 10},
    },
    "max_topup_amount": {
        "label": "Limit per top-up (USD)",
        "description": (
            "Maximum price of one purchase. A task that would exceed it fails without buying. Leave empty for no limit."
        ),
        "schema": {"type": ["number", "null"], "minimum": 0},
    },
    "monthly_topup_limit": {
        "label": "Monthly limit (USD)",
        "description": (
            "Maximum total of paid and still-payable checkouts per calendar month (UTC). A task that "
            "would exceed it fails without buying. Leave empty for no limit."
        ),
        "schema": {"type": ["number", "null"], "minimum": 0},
    },
    "approval_above": {
        "label": "Approval above (USD)",
        "description": (
            "A person has to approve each purchase above this price before it is made. 0 asks for every purchase. A "
            "DAG cannot loosen this. Leave empty for no approvals, except those that a task asks for."
        ),
        "schema": {"type": ["number", "null"], "minimum": 0},
    },
    "credit_account": {
        "label": "Credit account",
        "description": (
            "Connections of the same VideoDB account must have the same name here, so that their gates share the "
            "credit holds. Default: the id of the connection."
        ),
        "schema": {"type": ["string", "null"]},
    },
    "credit_reserve": {
        "label": "Credit reserve (credits)",
        "description": (
            "Credits that no gate may use, for work outside of Airflow. A gate opens only if the balance covers them "
            "as well. Default: 0."
        ),
        "schema": {"type": ["number", "null"], "minimum": 0},
    },
    "settlement_minutes": {
        "label": "Settlement time (minutes)",
        "description": (
            "How long released credits still count as held, because VideoDB's balance shows spending late. "
            "Default: 20. Jobs in sandboxes need more."
        ),
        "schema": {"type": ["number", "null"], "minimum": 0, "maximum": 2880},
    },
}

_CONNECTION_TYPE = {
    "connection-type": "videodb",
    "hook-class-name": "airflow_provider_videodb.hooks.videodb.VideoDBHook",
    "hook-name": "VideoDB",
    "ui-field-behaviour": {
        "hidden-fields": ["schema", "login", "port"],
        "relabeling": {"password": "API key", "host": "Base URL"},
        "placeholders": {
            "password": "sk-…",
            "host": "https://api.videodb.io (the default)",
        },
    },
    "conn-fields": _CONNECTION_FIELDS,
}


def get_provider_info() -> dict[str, object]:
    """Return the provider info, in the form of Airflow's ``provider_info.schema.json``."""
    return {
        "package-name": "airflow-provider-videodb",
        "name": "VideoDB",
        "description": "Start a heavy VideoDB job only with enough prepaid credits, and top them up.",
        "integrations": [
            {
                "integration-name": "VideoDB",
                "external-doc-url": "https://docs.videodb.io/",
                "tags": ["service"],
            }
        ],
        "hooks": [_modules("hooks", "billing", "videodb")],
        "operators": [_modules("operators", "auto_recharge", "ensure_credits", "release_credits", "topup")],
        "sensors": [_modules("sensors", "credits")],
        "notifications": ["airflow_provider_videodb.notifications.payment_request.PaymentRequestNotifier"],
        "triggers": [_modules("triggers", "checkout", "credit_watch", "credits", "ensure_credits")],
        "extra-links": ["airflow_provider_videodb.links.checkout.CheckoutLink"],
        "connection-types": [_CONNECTION_TYPE],
        "cli": ["airflow_provider_videodb.cli.definition.get_videodb_cli_commands"],
    }


def _modules(package: str, *names: str) -> dict[str, object]:
    return {
        "integration-name": "VideoDB",
        "python-modules": [f"airflow_provider_videodb.{package}.{name}" for name in names],
    }

"""aws, gcloud, az: a service, a verb that reads, and whose account it is."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tocsin.runbook.flags import Parsed, parse_flags
from tocsin.runbook.programs.verdicts import (
    Argv,
    Inner,
    Verdict,
    follows,
    has_hole,
    mutates,
    never_ends,
    reads,
    shows_secrets,
    unknown_flag,
)
from tocsin.runbook.wordlists import words as words_of

_AWS_ANYWHERE = words_of(
    "--region --output --query --no-paginate --no-cli-pager --max-items --page-size --color"
)
_AWS_VALUED = words_of(
    "--region --output --query --max-items --page-size --color --profile --endpoint-url --ca-bundle"
)
# Flags of every service that choose an account, an address, a file; any beginning of them counts.
_AWS_OTHERS = (
    "--profile",
    "--endpoint-url",
    "--cli-input-json",
    "--cli-input-yaml",
    "--no-verify-ssl",
    "--no-sign-request",
    "--ca-bundle",
    "--debug",
    "--cli-auto-prompt",
)
_AWS_GETS = {
    ("sts", "get-caller-identity"),
    ("cloudwatch", "get-metric-statistics"),
    ("cloudwatch", "get-metric-data"),
    ("cloudwatch", "get-dashboard"),
    ("logs", "filter-log-events"),
    ("logs", "get-log-events"),
    ("logs", "get-query-results"),
    ("sqs", "get-queue-attributes"),
    ("sqs", "get-queue-url"),
    ("sns", "get-topic-attributes"),
    ("s3api", "head-object"),
    ("s3api", "head-bucket"),
    ("s3api", "get-bucket-location"),
    ("s3api", "get-bucket-versioning"),
    ("route53", "get-health-check-status"),
    ("route53", "get-hosted-zone"),
    ("route53", "get-change"),
    ("codepipeline", "get-pipeline-state"),
    ("cloudtrail", "lookup-events"),
    ("guardduty", "get-findings"),
    ("ce", "get-cost-and-usage"),
    ("s3", "ls"),
    ("ses", "get-send-quota"),
    ("ses", "get-send-statistics"),
    ("iam", "get-user"),
    ("iam", "get-role"),
    ("iam", "get-account-summary"),
    ("xray", "get-service-graph"),
    ("xray", "get-trace-summaries"),
}  # fmt: skip
# Descriptions in which environments and start-up scripts stand.
_AWS_SECRET = re.compile(
    r"secret|password|credential|token|access-key|api-key|user-data|instance-attribute|task-definition$"
    r"|job-definitions|launch-template-versions|launch-configurations|configuration-settings|ssm-?parameter|key-pairs-private",
    re.IGNORECASE,
)
_AWS_VALUES = {
    ("dynamodb", "scan"),
    ("dynamodb", "query"),
    ("lambda", "list-functions"),
    ("configure", "list"),
    ("configure", "get"),
    ("ssm", "describe-parameters"),
    ("apprunner", "describe-service"),
    ("amplify", "list-apps"),
    ("sagemaker", "describe-model"),
}


def judge_aws(argv: Argv, _inner: Inner) -> Verdict:
    """Judge ``aws``."""
    parsed = parse_flags(argv, _AWS_VALUED)
    if trouble := _aws_trouble(argv, parsed):
        return mutates(argv, trouble)
    service, verb = parsed.words[0], parsed.words[1]
    said = f"aws {service} {verb}"
    if (service, verb) == ("logs", "tail"):
        return _aws_tail(argv, parsed)
    if verb == "wait":
        return reads(argv, f"{said} only asks until it is so")
    if service == "s3api" and verb.startswith(("get-object", "select-object")):
        return mutates(argv, f"{said} writes a file")
    if (service, verb) in _AWS_GETS:
        return reads(argv, f"{said} only reads")
    if (service, verb) in _AWS_VALUES or verb.startswith(("get-", "batch-get-")):
        return shows_secrets(argv, f"{said} may show secrets")
    if not verb.startswith(("describe-", "list-")):
        return mutates(argv, f"{said} may change something")
    if service == "secretsmanager" or _AWS_SECRET.search(verb):
        return shows_secrets(argv, f"{said} may show secrets")
    return reads(argv, f"{said} only reads")


def _aws_trouble(argv: Argv, parsed: Parsed) -> str:
    """Return why it cannot be told what is asked of whom, or nothing."""
    for flag in parsed.flags:
        if any(len(flag.name) > 2 and other.startswith(flag.name) for other in _AWS_OTHERS):
            return f"aws {flag.name} chooses another account, address or file"
    if any(re.search(r"(?:^|=)(?:fileb?|https?)://", word) for word in argv):
        return "aws is told to read a file"
    words = parsed.words
    if len(words) < 2 or has_hole(words[0]) or has_hole(words[1]):
        return "aws without a service and a verb"
    # Flags that stand before the verb must be known, so that the words are those meant.
    first = parsed.positionals[1][0]
    early = (flag.name for flag in parsed.flags if flag.at < first)
    strange = next((name for name in early if name not in _AWS_ANYWHERE), "")
    return f"aws {strange} is not known to be harmless" if strange else ""


def _aws_tail(argv: Argv, parsed: Parsed) -> Verdict:
    why = "aws logs tail only reads"
    endless = parsed.named("--follow")
    return follows(argv, endless, why, None) if endless else reads(argv, why)


_SECRET_WORD = re.compile(
    r"secret|(?<!mon)(?:^|-)keys?(?:$|-)|token|credential|password|^access$|connection-string|appsettings|\bsas\b|kubeconfig|vault",
    re.IGNORECASE,
)
_GCLOUD_GROUPS = words_of("""compute instances disks snapshots images addresses firewall-rules forwarding-rules networks subnets
    routes routers backend-services backend-buckets health-checks url-maps target-pools instance-groups managed
    instance-templates operations regions zones machine-types project-info ssl-certificates target-https-proxies
    target-http-proxies container clusters node-pools sql backups databases users flags tiers run services revisions
    jobs executions functions app versions logs logging sinks metrics monitoring policies dashboards pubsub topics
    subscriptions projects organizations folders iam roles service-accounts redis dataflow scheduler tasks queues builds
    deploy artifacts repositories packages docker dns managed-zones record-sets storage buckets objects auth config
    configurations components info alpha beta memcache keys spanner bigtable dataproc composer environments endpoints
    domains kms keyrings secrets locations workflows eventarc triggers asset filestore alloydb""")
_GCLOUD_READS = words_of(
    "access tail list describe read get-health get-iam-policy get-server-config get-value list-instances info"
)
_GCLOUD_VALUED = words_of("""--project --region --zone --format --filter --limit --sort-by --location --cluster --freshness
    --order --service --instance --page-size --flatten --resource-names --database --zones --regions""")
_GCLOUD_SWITCHES = words_of("--quiet -q --uri --global --no-user-output-enabled --show-deleted")
_AZ_GROUPS = words_of("""vm vmss aks nodepool webapp functionapp appservice plan deployment slot sql db server elastic-pool
    postgres flexible-server mysql mariadb redis cosmosdb storage account blob container share queue table network nsg
    rule vnet subnet lb public-ip nic application-gateway front-door dns record-set zone monitor metrics activity-log
    alert diagnostic-settings log-analytics workspace app-insights component events resource group acr repository
    containerapp revision replica container logs keyvault certificate role assignment definition ad user sp identity
    backup job vault disk snapshot image servicebus namespace eventhub eventhubs topic subscription config log health
    lock policy tag provider private-endpoint traffic-manager cdn endpoint batch iot hub advisor recommendation
    secret keys key credential appsettings connection-string""")
_AZ_READS = words_of(
    "tail show-connection-string list-keys list-connection-strings get-access-token list show list-instances list-usage get-instance-view list-ip-addresses show-tags list-sizes"
)
_AZ_VALUED = words_of("""-g --resource-group -n --name -o --output --query --subscription -l --location --top --offset
    --start-time --end-time --metric --metrics --resource --cluster-name --server --workspace --interval --aggregation
    --filter --resource-type --tag --ids --account-name --nsg-name --vnet-name --slot --status""")
_AZ_SWITCHES = words_of("-d --show-details --all --only-show-errors")


# Their descriptions hold environments.
_WITH_ENVIRONMENT = {"gcloud": words_of("run functions"), "az": words_of("containerapp container")}
_WHOLE = words_of("describe show")
_SECRET_FLAGS = words_of("--secret --vault-name --version --iam-account --keyring")


def judge_gcloud(argv: Argv, _inner: Inner) -> Verdict:
    """Judge ``gcloud``."""
    parsed = parse_flags(argv, _GCLOUD_VALUED | _SECRET_FLAGS)
    words, tokens = parsed.words, ("print-access-token", "print-identity-token")
    if words[:1] == ("auth",) and words[-1] in tokens and not parsed.flags:
        return shows_secrets(argv, f"gcloud {words[-1]} shows a token")
    return _grouped(argv, parsed, _GCLOUD_GROUPS, _GCLOUD_READS, _GCLOUD_VALUED | _GCLOUD_SWITCHES)


def judge_az(argv: Argv, _inner: Inner) -> Verdict:
    """Judge ``az``."""
    if argv[1:2] == ("rest",):
        return _az_rest(argv)
    parsed = parse_flags(argv, _AZ_VALUED | _SECRET_FLAGS)
    return _grouped(argv, parsed, _AZ_GROUPS, _AZ_READS, _AZ_VALUED | _AZ_SWITCHES)


def _grouped(
    argv: Argv, parsed: Parsed, groups: frozenset[str], verbs: frozenset[str], known: frozenset[str]
) -> Verdict:
    """Judge words that are groups, then a verb, then what it is done to."""
    program, path = argv[0], _path(parsed.words, groups, verbs)
    if path is None:
        return mutates(argv, f"{program} may change something")
    if strange := parsed.beyond(known | _SECRET_FLAGS):
        return unknown_flag(argv, strange)
    said = f"{program} {' '.join(path)}"
    if any(map(_SECRET_WORD.search, path)) or (
        path[0] in _WITH_ENVIRONMENT[program] and path[-1] in _WHOLE
    ):
        return shows_secrets(argv, f"{said} may show secrets")
    if path[-1] == "tail":
        return never_ends(None, f"{said} runs until somebody ends it")
    return reads(argv, f"{said} only reads")


def _path(words: Sequence[str], groups: frozenset[str], verbs: frozenset[str]) -> list[str] | None:
    """Return the groups and the verb, or None if a word among them is not known."""
    path: list[str] = []
    for word in words:
        path.append(word)
        if path[1:] and word in verbs:
            return path
        if word not in groups:
            return None
    return None


def _az_rest(argv: Argv) -> Verdict:
    parsed = parse_flags(
        argv, words_of("--method -m --url -u --uri --resource --query -o --output")
    )
    methods = [(flag.value or "").lower() for flag in parsed.named("--method", "-m")]
    known = words_of("--method -m --url -u --uri --resource --query -o --output")
    if all(method == "get" for method in methods) and not parsed.beyond(known):
        return shows_secrets(argv, "az rest asks the API itself, which shows anything")
    return mutates(argv, "az rest may send anything")

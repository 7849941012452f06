"""The parameters of the launch templates, as data: the stacks declare them, and the documentation is tested by them."""

from __future__ import annotations

from dataclasses import dataclass

BUCKET = "[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"
ACCOUNT = "[0-9]{12}"
UNIT = "ou-[0-9a-z]{4,32}-[a-z0-9]{8,32}"
YES_NO = ("Yes", "No")
RETENTION_DAYS = ("30", "60", "90", "180", "365", "731", "1827", "3653")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter. ``default`` is None where a value must be given; ``pattern`` is for the whole value."""

    name: str
    description: str
    default: str | None = None
    pattern: str = ""
    choices: tuple[str, ...] = ()
    kind: str = "String"
    longest: int = 0


def optional(pattern: str) -> str:
    """The pattern of a value that may be empty."""
    return f"^$|^{pattern}$"


CODE = (
    Parameter("CodeBucket", "Bucket that holds the function's zip.", pattern=f"^{BUCKET}$"),
    Parameter(
        "CodeKey",
        "Key of the function's zip; it names the content, so another zip has another key.",
        pattern="^[A-Za-z0-9/._-]{1,512}$",
    ),
    Parameter(
        "Runtime",
        "Python of the function; the compiled packages in the zip are made for it.",
        "python3.13",
        choices=("python3.11", "python3.12", "python3.13"),
    ),
    Parameter(
        "Architecture",
        "Processor of the function; the compiled packages in the zip are made for it.",
        "arm64",
        choices=("arm64", "x86_64"),
    ),
)
OLD = (
    Parameter(
        "NotificationEmail",
        "Where results, failures and waiting approvals are mailed to; empty: nowhere.",
        "",
        r"^$|^[a-zA-Z0-9_.+-]+@[a-zA-Z0-9-]+\.[a-zA-Z0-9.-]+$",
        longest=320,
    ),
    Parameter(
        "ConfigS3Bucket",
        "An existing bucket whose mlops-config.json files are provisioned; it must send its events to EventBridge."
        " Empty: a bucket is made.",
        "",
        optional(BUCKET),
    ),
    Parameter(
        "ExistingS3Bucket",
        "An existing bucket for data, models and bundles; it must have versions and send its events to EventBridge."
        " Empty: a bucket is made.",
        "",
        optional(BUCKET),
    ),
    Parameter(
        "ExistingECRRepo",
        "An existing repository for images of your own algorithms, by its name. Empty: one is made.",
        "",
        optional("(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*"),
        longest=256,
    ),
    Parameter(
        "UseModelRegistry",
        "Whether one-pipeline configs of the old names take their model from the model registry.",
        "No",
        choices=YES_NO,
    ),
    Parameter(
        "CreateModelRegistry",
        "Whether to make a model package group, which the stages may read.",
        "No",
        choices=YES_NO,
    ),
    Parameter(
        "MonitoringEngine",
        "What monitors analyse with when their config does not say it: our own image, or SageMaker Model Monitor in"
        " accounts that still have it.",
        "mlops",
        choices=("mlops", "model-monitor"),
    ),
    Parameter("AllowDetailedErrorMessage", "Whether the API's error answers carry details.", "Yes", choices=YES_NO),
)
NAMES = (
    Parameter(
        "NamePrefix",
        "Beginning of the names of everything that these templates make; the same in the hub and in the stages.",
        "mlops",
        "^[a-z][a-z0-9-]{0,19}$",
    ),
    Parameter(
        "PermissionsBoundaryArn",
        "A boundary of your organisation for the roles of these templates. Empty: none.",
        "",
        optional("arn:aws[a-z-]*:iam::[0-9]{12}:policy/[A-Za-z0-9+=,.@_/-]{1,512}"),
    ),
    Parameter(
        "Operators",
        "ARNs of the hub's users and roles that use the mlops command: they may look into the stages and delete there."
        " Empty: only the function may.",
        "",
        r"^$|^arn:aws[a-z-]*:iam::[0-9]{12}:(root|(user|role)/[A-Za-z0-9+=,.@_/-]{1,512})$",
        kind="CommaDelimitedList",
    ),
)
WORK = (
    Parameter(
        "Stages",
        "The stages of a config that names none: a JSON list of {name, account, region, approval, organizational_unit}."
        " Empty list: prod here, or dev, staging and prod in the accounts below.",
        "[]",
        r"^\[[^<>&]*\]$",
        longest=2400,  # with the rest of the function's environment below Lambda's 4 KB
    ),
    Parameter(
        "StagesThatNeedApproval",
        "Names of stages of the deployment that no config changes without a review, whatever it says. It holds for"
        " their accounts, whatever a config calls its stages there; in one account, for all stages. Empty: configs"
        " decide.",
        "",
        optional("[a-z][a-z0-9-]{0,20}"),
        kind="CommaDelimitedList",
    ),
    Parameter(
        "RepositoryBranch",
        "Branch of the CodeCommit repositories of this account whose pushes are provisioned.",
        "main",
        "^[A-Za-z0-9/._-]{1,255}$",
    ),
    Parameter(
        "ConnectionArn",
        "A connection to GitHub, GitLab or Bitbucket (CodeConnections) that somebody has authorised. Empty: none.",
        "",
        optional("arn:aws[a-z-]*:(codeconnections|codestar-connections):[a-z0-9-]+:[0-9]{12}:connection/[a-f0-9-]{36}"),
    ),
    Parameter(
        "ConnectionRepository",
        "The repository behind the connection, as owner/name; changes of its mlops-config.json are provisioned.",
        "",
        optional(r"[A-Za-z0-9_.-]{1,100}(/[A-Za-z0-9_.-]{1,100}){1,4}"),
    ),
    Parameter("ConnectionBranch", "The branch of that repository.", "main", "^[A-Za-z0-9/._-]{1,255}$"),
)
RUNNING = (
    Parameter(
        "ReservedConcurrency",
        "How many requests the function may handle at once, kept free for it. 0: it shares with the account.",
        "0",
        "^(0|[1-9][0-9]{0,3})$",
    ),
    Parameter("LogRetentionDays", "How long logs are kept.", "90", choices=RETENTION_DAYS),
    Parameter(
        "DataKeyArn",
        "A key for the buckets of data, configs and blueprints; configs must name it as kms_key_arn so that jobs may"
        " use it. Empty: keys that S3 keeps.",
        "",
        optional("arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]{1,64}"),
    ),
    Parameter(
        "SubnetIds",
        "Private subnets for the function; they need a way to the AWS APIs. Empty: no VPC.",
        "",
        optional("subnet-[0-9a-f]{8,17}"),
        kind="CommaDelimitedList",
    ),
    Parameter(
        "SecurityGroupIds",
        "Security groups for the function, with SubnetIds.",
        "",
        optional("sg-[0-9a-f]{8,17}"),
        kind="CommaDelimitedList",
    ),
    Parameter(
        "SetApiGatewayLogRole",
        "Whether to give API Gateway a role for its logs. The whole account and region has one: No if it is there.",
        "Yes",
        choices=YES_NO,
    ),
    Parameter(
        "WebAclArn",
        "A regional web ACL of AWS WAF in front of the API. Empty: none.",
        "",
        optional("arn:aws[a-z-]*:wafv2:[a-z0-9-]+:[0-9]{12}:regional/webacl/[A-Za-z0-9_-]{1,128}/[a-f0-9-]{36}"),
    ),
)
ACCOUNTS = (
    Parameter("DevAccountId", "The account of the stage dev.", "", optional(ACCOUNT)),
    Parameter("DevOrgId", "The organizational unit that holds the account of dev.", "", optional(UNIT)),
    Parameter("StagingAccountId", "The account of the stage staging.", "", optional(ACCOUNT)),
    Parameter("StagingOrgId", "The organizational unit that holds the account of staging.", "", optional(UNIT)),
    Parameter("ProdAccountId", "The account of the stage prod.", "", optional(ACCOUNT)),
    Parameter("ProdOrgId", "The organizational unit that holds the account of prod.", "", optional(UNIT)),
    Parameter(
        "StageAccounts",
        "The accounts of all stages, where they are others than dev, staging and prod; this account is always one.",
        "",
        optional(ACCOUNT),
        kind="CommaDelimitedList",
    ),
    Parameter(
        "StageUnits",
        "The organizational units that hold the StageAccounts. Without any unit nothing is rolled out: launch the"
        " stage-account template in each account by hand.",
        "",
        optional(UNIT),
        kind="CommaDelimitedList",
    ),
    Parameter(
        "DelegatedAdminAccount",
        "Whether this account is a delegated administrator of CloudFormation StackSets; No: the management account.",
        "Yes",
        choices=YES_NO,
    ),
)
STAGE = (
    Parameter("HubAccount", "The account in which the orchestrator lives.", pattern=f"^{ACCOUNT}$"),
    Parameter("ArtifactBucket", "The hub's artifact bucket.", pattern=f"^{BUCKET}$"),
    Parameter(
        "ArtifactKeyArn",
        "The key of the hub's artifact bucket.",
        pattern="^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]{1,64}$",
    ),
)

Groups = dict[str, tuple[Parameter, ...]]
SINGLE_ACCOUNT: Groups = {
    "The function's code": CODE,
    "As in the first product": OLD,
    "Stages and sources": WORK,
    "Names and rights": NAMES,
    "Running": RUNNING,
}
MULTI_ACCOUNT: Groups = {
    "The function's code": CODE,
    "As in the first product": OLD,
    "Accounts": ACCOUNTS,
    "Stages and sources": WORK,
    "Names and rights": NAMES,
    "Running": RUNNING,
}
STAGE_ACCOUNT: Groups = {"The hub": STAGE, "Names and rights": NAMES}

package secretstest

import "strings"

// harmlessForm makes texts that are near a credential and are none.
type harmlessForm struct {
	family, name string
	times        int
	make         func(maker) string
}

func text(s string) func(maker) string { return func(maker) string { return s } }

// digestNames are names under which no secret stands, though the word for one is in them.
var digestNames = []string{"password_sha256", "token_hash", "secret_version_id", "api_key_id", "token_sha256", "private_key_fingerprint", "public_key", "key_digest"}

// harmless are identifiers, digests, public halves, placeholders, code, and prose about secrets.
var harmless = []harmlessForm{
	{"identifiers", "uuid", 6, func(m maker) string { return "id: " + m.uuid() }},
	{"identifiers", "ulid", 4, func(m maker) string { return "trace 01" + m.of(caps, 24) }},
	{"identifiers", "aws-arn", 4, func(m maker) string {
		return "arn:aws:iam::" + m.of(digit, 12) + ":role/deploy-" + m.of(low, 6)
	}},
	{"identifiers", "aws-instance", 4, func(m maker) string { return "i-0" + m.of(hex, 16) + " in subnet-0" + m.of(hex, 16) }},
	{"identifiers", "google-client", 4, func(m maker) string { return m.of(digit, 12) + "-" + m.of(low, 32) + ".apps.googleusercontent.com" }},
	{"identifiers", "stripe-public", 4, func(m maker) string { return "pk_live_" + m.of(mixed, 24) + " cus_" + m.of(mixed, 14) }},
	{"identifiers", "slack-channel", 4, func(m maker) string { return "channel C" + m.of(caps, 10) + " of team T" + m.of(caps, 8) }},
	{"identifiers", "sentry-dsn", 4, func(m maker) string { return "https://" + m.of(hex, 32) + "@o12345.ingest.example.io/67890" }},
	{"identifiers", "docker-image", 4, func(m maker) string { return "registry.example.org/shop/api@sha256:" + m.of(hex, 64) }},
	{"identifiers", "pod", 4, func(m maker) string { return "pod/api-" + m.of(low, 10) + "-" + m.of(low, 5) }},
	{"identifiers", "key-id", 4, func(m maker) string { return "key_id: " + m.of(hex, 16) + " kid=" + m.of(hex, 8) }},
	{"identifiers", "video", 4, func(m maker) string { return "https://video.example.org/watch?v=" + m.of(url, 11) }},

	{"digests", "git-commit", 8, func(m maker) string { return "commit " + m.of(hex, 40) }},
	{"digests", "sha256", 8, func(m maker) string { return m.of(hex, 64) + "  release.tar.gz" }},
	{"digests", "md5", 4, func(m maker) string { return "etag: \"" + m.of(hex, 32) + "\"" }},
	{"digests", "go-sum", 6, func(m maker) string { return "golang.org/x/text v0.43.0 h1:" + m.bytes(32) }},
	{"digests", "npm-integrity", 6, func(m maker) string { return `"integrity": "sha512-` + m.bytes(64) + `"` }},
	{"digests", "pip-hash", 4, func(m maker) string { return "requests==2.32.3 --hash=sha256:" + m.of(hex, 64) }},
	{"digests", "cargo-checksum", 4, func(m maker) string { return `checksum = "` + m.of(hex, 64) + `"` }},
	{"digests", "bcrypt", 4, func(m maker) string { return "cost $2b$12$" + m.of(mixed+"./", 53) }},
	{"digests", "git-index", 4, func(m maker) string { return "index " + m.of(hex, 7) + ".." + m.of(hex, 7) + " 100644" }},

	{"public halves", "ssh-rsa", 4, func(m maker) string { return "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + m.of(std, 43) + " ann@host" }},
	{"public halves", "certificate", 4, func(m maker) string { return m.pem("CERTIFICATE", 600) }},
	{"public halves", "public-key", 4, func(m maker) string { return m.pem("PUBLIC KEY", 200) }},
	{"public halves", "pgp-public", 4, func(m maker) string { return m.pem("PGP PUBLIC KEY BLOCK", 300) }},
	{"public halves", "csr", 2, func(m maker) string { return m.pem("CERTIFICATE REQUEST", 300) }},
	{"public halves", "age-recipient", 4, func(m maker) string { return "age1" + m.of(strings.ToLower(bech32), 58) }},
	{"public halves", "wireguard-public", 4, func(m maker) string { return "PublicKey = " + m.bytes(32) }},
	{"public halves", "fingerprint", 4, func(m maker) string { return "SHA256:" + m.of(std, 43) + " root@host (ED25519)" }},
	{"public halves", "recaptcha-site", 3, func(m maker) string { return `data-sitekey="6L` + m.of(url, 38) + `"` }},
	{"public halves", "vapid", 3, func(m maker) string { return "applicationServerKey: 'B" + m.of(url, 86) + "'" }},

	{"data", "png", 6, func(m maker) string { return "data:image/png;base64,iVBORw0KGgo" + m.of(std, 400) }},
	{"data", "font", 4, func(m maker) string { return "src: url(data:font/woff2;base64,d09GMgAB" + m.of(std, 300) + ")" }},
	{"data", "base64-text", 4, func(m maker) string { return "body: " + m.bytes(120) }},
	{"data", "minified", 4, func(m maker) string {
		return "!function(e,t){var n=e." + m.of(lower, 2) + "(" + m.of(digit, 3) + ");return n?t[" + m.of(digit, 2) + "]:e}(window,document)"
	}},
	{"data", "source-map", 3, func(m maker) string { return `"mappings":"AAAA,SAASA,` + m.of(mixed+",;", 200) + `"` }},
	{"data", "hex-dump", 4, func(m maker) string {
		return "00000010  " + m.of(hex, 2) + " " + m.of(hex, 2) + " " + m.of(hex, 2) + "  |" + m.of(mixed, 16) + "|"
	}},
	{"data", "coordinates", 3, func(m maker) string { return "lat=52." + m.of(digit, 6) + "&lon=13." + m.of(digit, 6) }},
	{"data", "version", 4, func(m maker) string {
		return "v1.2." + m.of(digit, 2) + "-0.20261126" + m.of(digit, 6) + "-" + m.of(hex, 12)
	}},
	{"data", "dna", 2, func(m maker) string { return m.of("ACGT", 120) }},
	{"data", "long-path", 4, func(m maker) string { return "/nix/store/" + m.of(low, 32) + "-openssl-3.4.0/lib/libssl.so" }},
	{"data", "s3-url", 3, func(m maker) string {
		return "https://bucket.s3.amazonaws.com/" + m.of(hex, 40) + "/a.tar.gz?versionId=" + m.of(mixed, 32)
	}},
	{"data", "phone", 2, func(m maker) string { return "+49 30 " + m.of(digit, 8) }},

	{"placeholders", "angle", 1, text("password: <your-password-here1>")},
	{"placeholders", "variable", 1, text("DB_PASSWORD=${DB_PASSWORD:?is not set1}")},
	{"placeholders", "shell", 1, text(`curl -H "Authorization: Bearer $API_TOKEN_2" https://api.example.org`)},
	{"placeholders", "command", 1, text("export TOKEN=$(vault read -field=token1 secret/app)")},
	{"placeholders", "actions", 1, text("token: ${{ secrets.GITHUB_TOKEN }}")},
	{"placeholders", "jinja", 1, text("password: '{{ vault_db_password1 }}'")},
	{"placeholders", "terraform", 1, text("password = var.db_password1")},
	{"placeholders", "terraform-resource", 1, text("secret = aws_secretsmanager_secret.app1.arn")},
	{"placeholders", "changeme", 1, text("ADMIN_PASSWORD=changeme123456")},
	{"placeholders", "stars", 1, text("password=**************1a")},
	{"placeholders", "xs", 1, text("api_key: xxxxxxxxxxxxxxxx1")},
	{"placeholders", "github-doc", 1, text("gh" + "p_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx")},
	{"placeholders", "redacted", 1, text("token=[REDACTED-1234567890]")},
	{"placeholders", "op-reference", 1, text("password: op://vault/item1/password")},
	{"placeholders", "vault-reference", 1, text("DB_PASSWORD=vault:secret/data/app#password1")},
	{"placeholders", "sops", 1, text("password: ENC[AES256_GCM,data:abc1]")},
	{"placeholders", "url-user", 1, text("postgres://user:password@localhost:5432/test")},
	{"placeholders", "url-variable", 1, text("postgres://app:${DB_PASS}@db/shop")},
	{"placeholders", "url-percent", 1, text("amqp://%s:%s@%s:%d/")},
	{"placeholders", "aws-doc", 1, text("aws_secret_access_key = YOUR_SECRET_ACCESS_KEY_1")},
	{"placeholders", "null", 1, text(`{"password": null, "token": "", "secret": false}`)},
	{"placeholders", "file", 1, text("POSTGRES_PASSWORD_FILE=/run/secrets/postgres-passwd1")},
	{"placeholders", "key-file", 1, text("--private-key=./keys/deploy1.pem --client-key ~/.kube/client1.key")},

	{"code", "go-env", 1, text(`password := os.Getenv("DB_PASSWORD1")`)},
	{"code", "js-env", 1, text("const token = process.env.API_TOKEN_V2;")},
	{"code", "python-env", 1, text(`SECRET_KEY = os.environ["SECRET_KEY_2"]`)},
	{"code", "call", 1, text("token = generate_token2(user1, scope2)")},
	{"code", "member", 1, text("apiKey: config.services.api1Key2")},
	{"code", "field", 1, text("type Login struct { Password string `json:\"password\"` }")},
	{"code", "test", 1, text("if got.Password != want.Password1 { t.Errorf(\"password: %q\", got) }")},
	{"code", "hash-call", 1, text("password_hash = hash_password(request.form['password2'])")},
	{"code", "index", 1, text("secret = secrets[0]; token = tokens[i+1]")},
	{"code", "ternary", 1, text("token = a1 ? b22222222 : c3333333333")},
	{"code", "scanner", 1, text("for tok := scanner.Token(); tok != nil; tok = scanner.NextToken2() {}")},
	{"code", "regexp", 1, text("var tokenPattern = /^gh" + "[pousr]_[A-Za-z0-9]{36}$/")},
	{"code", "sql", 1, text("SELECT password_hash1, salt FROM users WHERE token_id2 = $1")},
	{"code", "lexer", 1, text("type token2 int; const tokenEOF token2 = iota")},
	{"code", "max-tokens", 1, text(`{"max_tokens": 4096, "tokens_per_hour": 100000, "completion_tokens": 12345678901}`)},
	{"code", "tokenizer", 1, text(`{"tokenizer": "cl100k_base1", "tokenizer_class": "PreTrainedTokenizerFast2"}`)},
	{"code", "page-token", 1, text("GET /v1/items?pageToken=next&pageSize=50")},
	{"code", "page-token-value", 3, func(m maker) string { return "GET /v1/items?pageToken=" + m.of(mixed, 32) + "&pageSize=50" }},
	{"code", "bypass", 2, func(m maker) string { return "cache-bypass=" + m.of(hex, 16) }},
	{"code", "css", 1, text(".token-123abc456def { color: #a1b2c3d4 }")},
	{"code", "camel-risk", 1, text("desk-lamp-1234 task-list-5678 risk-averse-9012")},
	{"code", "import", 1, text("import { SecretsManagerClient2 } from '@aws-sdk/client-secrets-manager'")},
	{"code", "label", 1, text("label: password1-input-field2-wrapper3")},
	{"code", "generic-type", 1, text("secret: SecretRef<string>; key: Map<Key1, Val2>")},
	{"code", "yaml-ref", 1, text("secretKeyRef:\n  name: app-secrets-v2\n  key: db-password1\n")},
	{"code", "yaml-secret-name", 1, text("secretName: wildcard-example-org-tls2")},
	{"code", "password-flag", 1, text("--password-stdin --passwordless2 --token-file /run/t1")},
	{"code", "help", 1, text("  --token TOKEN   API token for authentication1\n  --password PASSWORD\n")},
	{"code", "curl-user-name", 1, text("curl -u admin https://api.example.org")},
	{"code", "ssh-option", 1, text("ssh -o PasswordAuthentication=no -i ~/.ssh/id_ed25519 host1")},
	{"code", "useradd", 1, text("useradd -p ! -m builder12345; passwd -l builder12345")},
	{"code", "scp", 1, text("scp a.txt user@host:/srv/backup2026/a.txt")},

	{"names", "digest", 6, func(m maker) string { return digestNames[m.r.IntN(len(digestNames))] + ": " + m.of(hex, 64) }},
	{"names", "digest-json", 6, func(m maker) string {
		return `{"` + digestNames[m.r.IntN(len(digestNames))] + `": "` + m.of(hex, 40) + `"}`
	}},

	{"prose", "policy", 1, text("The password must have at least 12 characters, 1 digit and 1 symbol.")},
	{"prose", "rotation", 1, text("Token rotation: every 90 days. Secret: none. Password: see vault item 12.")},
	{"prose", "bearer", 1, text("the bearer of this document2 may enter; bearer bonds1 were common")},
	{"prose", "basic", 1, text("Basic instructions1 for the first2 day")},
	{"prose", "token-sentence", 1, text("The token: a short-lived2 credential that the issuer1 signs.")},
	{"prose", "commit", 1, text("fix(auth): password reset e2e test #1234, closes #5678")},
	{"prose", "url", 1, text("see https://docs.example.org/security/password-policy-2026#rotation")},
	{"prose", "login", 1, text("Login: admin, password: see 1Password entry")},
	{"prose", "machine", 1, text("machine learning for login flows: password strength2 models")},
	{"prose", "time", 1, text("secret: 2026-11-27T22:19:23Z, token: 2026-11-27")},
	{"prose", "numbers", 1, text("token: 1234567890123, password attempts: 10000000001")},
	{"prose", "mail", 1, text("reset the password: ann.example2@example.org")},
	{"prose", "port", 1, text("http://host:8080/a@b, ssh://git@host:2222/a.git")},

	{"references", "secret-arn", 1, text(`secret_arn = "arn:aws:secretsmanager:us-west-2:123456789012:secret:MyTestSecret-a1b2c3"`)},
	{"references", "credentials-id", 3, func(m maker) string {
		return "usernamePassword(credentialsId: '" + m.uuid() + "', usernameVariable: 'U')"
	}},
	{"references", "arn-of-a-password", 1, text(`db_password = "arn:aws:ssm:eu-west-1:123456789012:app1-x9Kq2zW"`)},
	{"references", "name-of-an-arn", 1, text(`secret_arn = "prod1/Xy7kQ2wV9z-app"`)},
	{"references", "credentials-id-capitals", 3, func(m maker) string { return `credentialsID: "` + m.uuid() + `"` }},
	{"references", "credentials-id-underscore", 3, func(m maker) string { return "credentials_id = '" + m.uuid() + "'" }},
	{"references", "credentials-id-dash", 3, func(m maker) string { return `"credentials-id": "` + m.uuid() + `"` }},
	{"references", "client-token-underscore", 3, func(m maker) string { return "client_token: " + m.uuid() }},
	{"references", "client-token", 3, func(m maker) string { return `"ClientToken": "` + m.uuid() + `"` }},
	{"references", "credential-source", 1, text("credential_source=Ec2InstanceMetadata")},
	{"references", "package", 1, text("Maven - io.jsonwebtoken:jjwt-jackson-0.11.2")},

	{"examples", "aws-key", 1, text("AK" + "IAIOSFODNN7EXAMPLE and wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")},
	{"examples", "rfc7617", 1, text(`Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==`)},
	{"examples", "rfc7617-file", 1, text("_auth=QWxhZGRpbjpvcGVuIHNlc2FtZQ==")},
	{"examples", "rfc6749", 1, text(`{"access_token": "2YotnFZFEjr1zCsicMWpAA", "refresh_token": "tGzv3JOkF0XG5Qx2TlKWIA"}`)},
	{"examples", "url", 1, text("http://foo:bar@localhost:8080/")},
	{"examples", "pem", 1, text("-----BEGIN SSH PRIVATE KEY-----\n<base64 encoded key here>\n-----END SSH PRIVATE KEY-----")},
	{"examples", "openshift", 1, text("--token=sha256~XXXXXXXXXX_PUT_YOUR_TOKEN_HERE_XXXXXXXXXXXX")},
	{"examples", "scalingo", 1, text("tk-us-Put1_the2_token_of3_Scalingo4_here_Qx7Zk9Wv2Lm5T")},
	{"examples", "shell-default", 1, text(`ADMIN_PASSWORD="${E2E_ADMIN_PASSWORD:-e2e-admin-pass}"`)},
	{"examples", "masked", 1, text("password: Zk7q********b8, token=abc1...x9z2, api_key: sk-1234****")},
	{"examples", "masked-in-the-middle", 1, text(`password: Zk7qW2x***b8Lm4; "token": "sk1Ab...9xYz7"`)},
	{"examples", "header-of-nobody", 1, text("curl -H 'Authorization: Basic YTpi' https://api.example.org")},
	{"examples", "header-of-a-test", 1, text("Authorization: Bearer dummy-Token-for-tests-1")},
	{"examples", "header-without-key", 1, text("curl -H 'Authorization: Bearer' -H 'X-Api-Key: ' https://api.example.org")},

	{"code", "go-identifier", 1, text("var rsaPrivateKey = test1024Key")},
	{"code", "test-variable", 1, text("config.Certificates[0].PrivateKey = testRSA2048PrivateKey")},
	{"code", "test-variable-short", 1, text("private_key = ed25519TestKey")},
	{"code", "escaped-newline", 1, text(`env = 'GEMINI_API_KEY=home\nOTHER_VAR=secret'`)},
	{"code", "hf-identifier", 1, text("(id)hf_requiredCharacteristicTypesForDisplayMetadata;")},
	{"code", "words-in-words", 1, text("SetSysctl = \"vxqs08kfuf6ja2ldbs12jtff\"; rookTable = 00a1b2c3d4")},
}

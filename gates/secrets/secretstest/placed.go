package secretstest

import (
	"encoding/base64"
	"strings"
)

// placing is a secret that is told by what stands around it: a name, a header, a URL.
type placing struct {
	family, name, around string
	make                 func(maker) string
}

func draw(set string, n int) func(maker) string { return func(m maker) string { return m.of(set, n) } }

// placed are secrets of no form of their own, in the files and commands where they are kept.
var placed = []placing{
	{"environment", "aws-secret", "AWS_SECRET_ACCESS_KEY=%s\n", draw(std, 40)},
	{"environment", "aws-secret-ini", "[default]\naws_secret_access_key = %s\nregion = eu-central-1\n", draw(std, 40)},
	{"environment", "db-password", "DB_PASSWORD=%s\n", maker.password},
	{"environment", "pgpassword", "PGPASSWORD=%s psql -h db", maker.password},
	{"environment", "mysql-pwd", "MYSQL_PWD='%s' mysqldump shop", maker.password},
	{"environment", "db-pass", "DB_PASS=\"%s\"", maker.password},
	{"environment", "token", "export TOKEN=%s", draw(hex, 40)},
	{"environment", "api-token", "API_TOKEN: %s", draw(mixed, 32)},
	{"environment", "cloudflare", "CLOUDFLARE_API_TOKEN=%s", draw(url, 40)},
	{"environment", "cloudflare-key", "CF_API_KEY=%s", draw(hex, 37)},
	{"environment", "datadog", "DD_API_KEY=%s", draw(hex, 32)},
	{"environment", "datadog-app", "DD_APP_KEY=%s", draw(hex, 40)},
	{"environment", "fastly", "FASTLY_API_TOKEN=%s", draw(url, 32)},
	{"environment", "mistral", "MISTRAL_API_KEY=%s", draw(mixed, 32)},
	{"environment", "cohere", "COHERE_API_KEY=%s", draw(mixed, 40)},
	{"environment", "azure-openai", "AZURE_OPENAI_KEY=%s", draw(hex, 32)},
	{"environment", "secret-key-base", "SECRET_KEY_BASE=%s", draw(hex, 128)},
	{"environment", "encryption-key", "ENCRYPTION_KEY=%s", draw(hex, 64)},
	{"environment", "jwt-secret", "JWT_SECRET=%s", draw(mixed, 48)},
	{"environment", "signing-key", "SIGNING_KEY='%s'", draw(hex, 64)},
	{"environment", "master-key", "RAILS_MASTER_KEY=%s", draw(hex, 32)},
	{"environment", "scaleway", "SCW_SECRET_KEY=%s", func(m maker) string { return m.uuid() }},
	{"environment", "discord", "DISCORD_TOKEN=%s", func(m maker) string { return "MT" + "A" + m.of(mixed, 23) + "." + m.of(url, 6) + "." + m.of(url, 38) }},
	{"environment", "snyk", "SNYK_TOKEN=%s", func(m maker) string { return m.uuid() }},
	{"environment", "vercel", "VERCEL_TOKEN=%s", draw(mixed, 24)},
	{"environment", "twilio-auth", "TWILIO_AUTH_TOKEN=%s", draw(hex, 32)},
	{"environment", "restic", "RESTIC_PASSWORD=%s restic backup /srv", maker.password},
	{"environment", "b2", "B2_APPLICATION_KEY=%s", draw(mixed, 31)},
	{"environment", "algolia-admin", "ALGOLIA_ADMIN_KEY=%s", draw(hex, 32)},

	{"files", "json-password", `{"user": "app", "password": "%s"}`, maker.password},
	{"files", "json-escaped", `{\"password\": \"%s\"}`, maker.password},
	{"files", "json-client-secret", `{"client_id":"a","client_secret":"%s"}`, draw(mixed, 40)},
	{"files", "json-camel", `{"apiToken": "%s"}`, draw(mixed, 40)},
	{"files", "json-access-token", `{"access_token":"%s","expires_in":3600}`, draw(url, 60)},
	{"files", "json-refresh-token", `{"refresh_token": "%s"}`, draw(url, 60)},
	{"files", "json-service-account", `{"type":"service_account","private_key":"%s\n","client_email":"a@b"}`, func(m maker) string {
		return strings.ReplaceAll(m.pem("PRIV"+"ATE KEY", 600), "\n", `\n`)
	}},
	{"files", "json-docker-auth", `{"auths":{"registry.example.org":{"auth":"%s"}}}`, func(m maker) string {
		return base64.StdEncoding.EncodeToString([]byte("robot:" + m.of(mixed, 20)))
	}},
	{"files", "yaml-password", "database:\n  password: %s\n  host: db\n", maker.password},
	{"files", "yaml-quoted", "  adminPassword: '%s'\n", maker.password},
	{"files", "yaml-secret", "secretKey: \"%s\"", draw(std, 40)},
	{"files", "kubeconfig-token", "users:\n- name: admin\n  user:\n    token: %s\n", draw(hex, 64)},
	{"files", "kubeconfig-key", "    client-key-data: %s\n", func(m maker) string { return m.bytes(200) }},
	{"files", "toml-passwd", "passwd = \"%s\"", maker.password},
	{"files", "ini-pwd", "pwd=%s;", maker.password},
	{"files", "xml-password", "<password>%s</password>", maker.password},
	{"files", "maven-passphrase", "<passphrase>%s</passphrase>", maker.password},
	{"files", "npmrc", "//registry.example.org/:_authToken=%s", func(m maker) string { return m.uuid() }},
	{"files", "npmrc-auth", "//registry.example.org/:_auth=%s", func(m maker) string { return base64.StdEncoding.EncodeToString([]byte("bot:" + m.of(mixed, 20))) }},
	{"files", "netrc", "machine api.example.org login bot password %s\n", maker.password},
	{"files", "pgpass", "db.example.org:5432:shop:app:%s\n", func(m maker) string { return m.password() }},
	{"files", "wireguard", "[Interface]\nPrivateKey = %s\n", func(m maker) string { return m.bytes(32) }},
	{"files", "wireguard-psk", "[Peer]\nPresharedKey = %s\n", func(m maker) string { return m.bytes(32) }},
	{"files", "wifi", "wpa_passphrase=%s", maker.password},
	{"files", "htpasswd-source", "ADMIN_PASSWORD := \"%s\"", maker.password},
	{"files", "ruby-hash", "password: \"%s\", host: 'db'", maker.password},
	{"files", "php-array", "'password' => '%s',", maker.password},
	{"files", "code", "const apiKey = \"%s\";", draw(mixed, 32)},
	{"files", "code-secret", "var clientSecret string = \"%s\"", draw(mixed, 40)},
	{"files", "dockerfile", "ENV SECRET_TOKEN %s\n", draw(mixed, 40)},

	{"connections", "azure-storage", "DefaultEndpointsProtocol=https;AccountName=shop;AccountKey=%s;EndpointSuffix=core.windows.net", func(m maker) string { return m.bytes(64) }},
	{"connections", "azure-bus", "Endpoint=sb://bus.example.org/;SharedAccessKeyName=root;SharedAccessKey=%s", func(m maker) string { return m.bytes(32) }},
	{"connections", "azure-sas", "https://shop.blob.example.org/c?sv=2024-11-04&sp=r&sig=%s", func(m maker) string { return m.of(mixed, 42) + "%3D" }},
	{"connections", "sql-server", "Server=db;User Id=app;Password=%s;Encrypt=true", maker.password},
	{"connections", "libpq", "host=db user=app password=%s sslmode=require", maker.password},
	{"connections", "postgres", "postgres://app:%s@db.example.org:5432/shop", draw(mixed, 16)},
	{"connections", "mysql", "mysql://root:%s@10.0.0.5/shop", draw(mixed, 14)},
	{"connections", "mongodb", "mongodb+srv://app:%s@cluster0.example.org/shop", draw(mixed, 16)},
	{"connections", "redis", "redis://:%s@cache:6379/0", draw(mixed, 24)},
	{"connections", "amqp", "amqp://app:%s@mq.example.org/", draw(mixed, 16)},
	{"connections", "smtp", "smtp://bot%40example.org:%s@mail.example.org:587", draw(mixed, 16)},
	{"connections", "cloudinary", "cloudinary://" + "123456789012345:%s@shop", draw(url, 27)},
	{"connections", "git-https", "git clone https://oauth2:%s@git.example.org/a/b.git", draw(mixed, 20)},
	{"connections", "git-token", "git clone https://%s@git.example.org/a/b.git", draw(hex, 40)},
	{"connections", "proxy", "https_proxy=http://user:%s@proxy:3128", draw(mixed, 12)},

	{"headers", "bearer", "Authorization: Bearer %s", draw(url, 48)},
	{"headers", "bearer-lower", `curl -H "authorization: bearer %s" https://api.example.org`, draw(hex, 40)},
	{"headers", "token", "Authorization: token %s", draw(hex, 40)},
	{"headers", "basic", "Authorization: Basic %s", func(m maker) string { return base64.StdEncoding.EncodeToString([]byte("app:" + m.password())) }},
	{"headers", "api-key", "X-Api-Key: %s", draw(mixed, 32)},
	{"headers", "auth-token", "X-Auth-Token: %s", draw(hex, 32)},
	{"headers", "private-token", "PRIVATE-TOKEN: %s", draw(mixed, 24)},
	{"headers", "vault", "X-Vault-Token: %s", func(m maker) string { return "s." + m.of(mixed, 24) }},
	{"headers", "cookie", "Cookie: session_token=%s; theme=dark", draw(mixed, 40)},
	{"headers", "apikey-query", "https://api.example.org/v1?api_key=%s", draw(mixed, 32)},
	{"headers", "token-query", "https://api.example.org/v1?token=%s&x=1", draw(mixed, 32)},

	{"commands", "long-option", "mysql --user=app --password=%s shop", maker.password},
	{"commands", "long-option-blank", "vault login --token %s", draw(mixed, 28)},
	{"commands", "password-blank", "docker login -u bot --password %s registry.example.org", maker.password},
	{"commands", "curl-user", "curl -u admin:%s https://api.example.org", draw(mixed, 20)},
	{"commands", "curl-user-long", "curl --user 'admin:%s' https://api.example.org", draw(mixed, 20)},
	{"commands", "api-key-blank", "deploy --api-key %s --env prod", draw(mixed, 32)},
	{"commands", "sshpass", "sshpass -p '%s' ssh root@host", maker.password},
	{"commands", "secret-blank", "app --client-secret %s", draw(mixed, 40)},
	{"commands", "echo-passwd", "echo 'root:%s' | chpasswd", maker.password},
}

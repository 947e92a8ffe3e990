package secrets

import "bytes"

// alphabet is a set of bytes.
type alphabet [256]bool

func letters(set string) *alphabet {
	var a alphabet
	for i := range len(set) {
		a[set[i]] = true
	}
	return &a
}

const (
	lower  = "abcdefghijklmnopqrstuvwxyz"
	upper  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits = "0123456789"
)

var (
	alnum     = letters(lower + upper + digits)
	upperNum  = letters(upper + digits)
	hexDigits = letters("abcdefABCDEF" + digits)
	wordChars = letters(lower + upper + digits + "_")
	urlSafe   = letters(lower + upper + digits + "_-")
	base64Std = letters(lower + upper + digits + "+/")
	dotted    = letters(lower + upper + digits + "_-.")
	numerals  = letters(digits)
)

// format is how one issuer writes its secrets. match looks at an occurrence of the prefix and returns where the secret
// ends.
type format struct {
	name   string
	prefix string
	match  func(text []byte, at int) (start, end int, ok bool)
}

// token is a format of the most frequent form: a prefix, spelled exactly, and min to max characters of a set (max 0 is
// any number), with no letter or digit before it.
func token(name, prefix string, set *alphabet, least, most int) format {
	return format{name, prefix, func(text []byte, at int) (int, int, bool) {
		if !spelled(text, at, prefix) || at > 0 && alnum[text[at-1]] {
			return 0, 0, false
		}
		end := run(text, at+len(prefix), set, most)
		n := end - at - len(prefix)
		return at, end, n >= least && (most == 0 || n <= most) && !monotonous(text[at+len(prefix):end])
	}}
}

// word is token for a prefix that words and names begin with too: there are digits among the characters, as in every secret of that
// length, and letters.
func word(name, prefix string, set *alphabet, least, most int) format {
	f := token(name, prefix, set, least, most)
	return format{name, prefix, func(text []byte, at int) (int, int, bool) {
		start, end, ok := f.match(text, at)
		return start, end, ok && secretLike(text[at+len(prefix):end])
	}}
}

// monotonous reports whether a text is made of at most three characters, as placeholders are.
func monotonous(text []byte) bool {
	var seen [256]bool
	n := 0
	for _, c := range text {
		if !seen[c] {
			seen[c] = true
			if n++; n > 3 {
				return false
			}
		}
	}
	return true
}

// sampled reports whether something of an issuer's form only shows that form.
func sampled(value []byte) bool {
	if documented[string(value)] {
		return true
	}
	low := bytes.ToLower(value)
	for _, part := range []string{"example", "xxxxxxxx", "your_", "your-", "_here_", "********", "........", "########"} {
		if bytes.Contains(low, []byte(part)) {
			return true
		}
	}
	return false
}

// spelled reports whether text has s at that place, in this case.
func spelled(text []byte, at int, s string) bool {
	return len(text)-at >= len(s) && string(text[at:at+len(s)]) == s
}

// run returns the end of the characters of a set from at on. It looks at most one further than most (0 is no limit), so
// that a text made of prefixes costs no more than its length times a constant.
func run(text []byte, at int, set *alphabet, most int) int {
	end := at
	for end < len(text) && set[text[end]] && (most == 0 || end-at <= most) {
		end++
	}
	return end
}

// formats is the table of what counts as a credential. Prefixes, lengths and character sets are those that the issuers
// document or hand out; where an issuer promises no length, the least is what it has issued so far.
var formats = []format{
	token("aws-access-key-id", "AKIA", upperNum, 16, 16),
	token("aws-access-key-id", "ASIA", upperNum, 16, 16),
	token("aws-access-key-id", "ABIA", upperNum, 16, 16),
	token("aws-access-key-id", "ACCA", upperNum, 16, 16),
	token("aws-session-token", "IQoJb3JpZ2luX2Vj", base64Std, 100, 0),
	token("aws-session-token", "FwoGZXIvYXdz", base64Std, 100, 0),
	token("aws-bedrock-key", "ABSK", base64Std, 100, 0),
	token("github-token", "ghp_", alnum, 36, 255),
	token("github-token", "gho_", alnum, 36, 255),
	token("github-token", "ghu_", alnum, 36, 255),
	token("github-token", "ghs_", dotted, 36, 0),
	token("github-token", "ghr_", alnum, 36, 255),
	token("github-fine-grained-token", "github_pat_", wordChars, 50, 255),
	token("gitlab-token", "glpat-", dotted, 20, 0),
	token("gitlab-token", "glptt-", urlSafe, 20, 0),
	token("gitlab-token", "gldt-", urlSafe, 20, 0),
	token("gitlab-token", "glrt-", dotted, 20, 0),
	token("gitlab-token", "glcbt-", urlSafe, 20, 0),
	token("gitlab-token", "glsoat-", urlSafe, 20, 0),
	token("gitlab-token", "glagent-", urlSafe, 40, 0),
	token("gitlab-token", "glft-", urlSafe, 20, 0),
	token("gitlab-token", "glimt-", urlSafe, 20, 0),
	token("gitlab-token", "glffct-", urlSafe, 20, 0),
	token("bitbucket-token", "ATCTT3", letters(lower+upper+digits+"_-="), 100, 0),
	token("bitbucket-password", "ATBB", alnum, 28, 40),
	token("buildkite-token", "bkua_", hexDigits, 40, 40),
	token("circleci-token", "CCIPAT_", wordChars, 40, 0),
	token("sonar-token", "squ_", hexDigits, 40, 40),
	token("sonar-token", "sqp_", hexDigits, 40, 40),
	token("sonar-token", "sqa_", hexDigits, 40, 40),
	token("sourcegraph-token", "sgp_", letters("0123456789abcdefABCDEF_local"), 40, 0),
	token("slack-token", "xoxb-", urlSafe, 20, 0),
	token("slack-token", "xoxp-", urlSafe, 20, 0),
	token("slack-token", "xoxa-", urlSafe, 20, 0),
	token("slack-token", "xoxr-", urlSafe, 20, 0),
	token("slack-token", "xoxs-", urlSafe, 20, 0),
	token("slack-token", "xoxe.", dotted, 20, 0),
	token("slack-app-token", "xapp-", urlSafe, 20, 0),
	{"slack-webhook", "hooks.slack.com/services/", webhook("hooks.slack.com/services/", 40)},
	{"slack-webhook", "hooks.slack.com/workflows/", webhook("hooks.slack.com/workflows/", 40)},
	{"slack-webhook", "hooks.slack.com/triggers/", webhook("hooks.slack.com/triggers/", 40)},
	{"discord-webhook", "discord.com/api/webhooks/", webhook("discord.com/api/webhooks/", 60)},
	{"discord-webhook", "discordapp.com/api/webhooks/", webhook("discordapp.com/api/webhooks/", 60)},
	{"teams-webhook", "webhook.office.com/webhookb2/", webhook("webhook.office.com/webhookb2/", 100)},
	token("stripe-key", "rk_test_", alnum, 24, 0),
	token("stripe-key", "sk_live_", alnum, 16, 0),
	token("stripe-key", "rk_live_", alnum, 16, 0),
	token("stripe-key", "sk_test_", alnum, 24, 0),
	token("stripe-webhook-secret", "whsec_", base64Std, 32, 0),
	token("google-api-key", "AIza", urlSafe, 35, 35),
	token("google-oauth-token", "ya29.", dotted, 30, 0),
	token("google-refresh-token", "1//0", urlSafe, 40, 0),
	token("google-client-secret", "GOCSPX-", urlSafe, 28, 28),
	token("openai-key", "sk-proj-", urlSafe, 40, 0),
	token("openai-key", "sk-svcacct-", urlSafe, 40, 0),
	token("openai-key", "sk-admin-", urlSafe, 40, 0),
	token("deepseek-key", "sk-", hexDigits, 32, 32),
	word("openai-key", "sk-", alnum, 32, 64),
	token("anthropic-key", "sk-ant-", urlSafe, 24, 0),
	token("openrouter-key", "sk-or-v1-", hexDigits, 64, 64),
	token("groq-key", "gsk_", alnum, 40, 0),
	token("xai-key", "xai-", alnum, 60, 0),
	token("replicate-token", "r8_", alnum, 37, 40),
	token("perplexity-key", "pplx-", alnum, 40, 0),
	token("hugging-face-token", "hf_", alnum, 30, 40),
	token("nvidia-key", "nvapi-", urlSafe, 50, 0),
	token("tavily-key", "tvly-", urlSafe, 28, 0),
	token("pinecone-key", "pcsk_", urlSafe, 50, 0),
	token("langsmith-key", "lsv2_pt_", wordChars, 40, 60),
	token("langsmith-key", "lsv2_sk_", wordChars, 40, 60),
	word("fireworks-key", "fw_", alnum, 22, 32),
	token("npm-token", "npm_", alnum, 36, 36),
	token("pypi-token", "pypi-", urlSafe, 60, 0),
	token("rubygems-key", "rubygems_", hexDigits, 48, 48),
	token("docker-token", "dckr_pat_", urlSafe, 27, 0),
	token("docker-token", "dckr_oat_", urlSafe, 27, 0),
	word("crates-io-token", "cio", alnum, 32, 32),
	word("nuget-key", "oy2", letters(lower+digits), 43, 43),
	token("clojars-token", "CLOJARS_", hexDigits, 60, 60),
	{"resend-key", "re_", parts("re_", '_', alnum, 8, 8, 24, 24)},
	token("brevo-key", "xkeysib-", urlSafe, 60, 0),
	{"mailchimp-key", "-us", around("-us", hexDigits, 32, 32, numerals, 1)},
	{"sendgrid-key", "SG.", parts("SG.", '.', urlSafe, 16, 32, 32, 64)},
	token("twilio-key", "SK", hexDigits, 32, 32),
	token("alibaba-access-key-id", "LTAI", alnum, 16, 26),
	word("tencent-secret-id", "AKID", alnum, 32, 32),
	token("fly-token", "fo1_", urlSafe, 40, 0),
	token("fly-token", "fm2_", letters(lower+upper+digits+"+/=_-"), 100, 0),
	word("render-key", "rnd_", alnum, 28, 40),
	{"dynatrace-token", "dt0c01.", parts("dt0c01.", '.', alnum, 24, 24, 64, 64)},
	{"cloudflare-origin-key", "v1.0-", parts("v1.0-", '-', hexDigits, 24, 24, 146, 146)},
	token("digitalocean-token", "dop_v1_", hexDigits, 64, 64),
	token("digitalocean-token", "doo_v1_", hexDigits, 64, 64),
	token("digitalocean-token", "dor_v1_", hexDigits, 64, 64),
	token("shopify-token", "shpat_", hexDigits, 32, 32),
	token("shopify-token", "shpca_", hexDigits, 32, 32),
	token("shopify-token", "shppa_", hexDigits, 32, 32),
	token("shopify-token", "shpss_", hexDigits, 32, 32),
	token("square-token", "sq0atp-", urlSafe, 22, 22),
	token("square-token", "sq0csp-", urlSafe, 43, 43),
	word("square-token", "EAAA", urlSafe, 60, 60),
	token("flutterwave-key", "FLWSECK-", urlSafe, 32, 0),
	token("flutterwave-key", "FLWSECK_TEST-", urlSafe, 32, 0),
	token("braintree-token", "access_token$production$", letters(lower+digits+"$"), 49, 49),
	token("duffel-token", "duffel_live_", urlSafe, 43, 43),
	token("duffel-token", "duffel_test_", urlSafe, 43, 43),
	token("easypost-key", "EZAK", alnum, 54, 54),
	token("shippo-token", "shippo_live_", hexDigits, 40, 40),
	token("databricks-token", "dapi", hexDigits, 32, 32),
	token("doppler-token", "dp.pt.", alnum, 40, 44),
	token("doppler-token", "dp.st.", dotted, 40, 0),
	token("vault-token", "hvs.", urlSafe, 24, 0),
	token("vault-token", "hvb.", urlSafe, 24, 0),
	token("vault-token", "hvr.", urlSafe, 24, 0),
	{"terraform-token", ".atlasv1.", around(".atlasv1.", alnum, 14, 14, urlSafe, 60)},
	token("linear-key", "lin_api_", alnum, 40, 40),
	token("notion-token", "ntn_", alnum, 40, 50),
	token("notion-token", "secret_", alnum, 43, 43),
	token("figma-token", "figd_", urlSafe, 40, 0),
	token("contentful-token", "CFPAT-", urlSafe, 43, 43),
	word("posthog-key", "phx_", alnum, 40, 50),
	word("readme-key", "rdme_", letters(lower+digits), 60, 80),
	word("prefect-key", "pnu_", alnum, 36, 36),
	token("typeform-token", "tfp_", urlSafe, 40, 70),
	token("openshift-token", "sha256~", urlSafe, 43, 43),
	{"mapbox-token", "sk.eyJ", parts("sk.", '.', urlSafe, 40, 400, 20, 40)},
	{"hubspot-token", "pat-na1-", tokenUUID("pat-na1-")},
	{"hubspot-token", "pat-eu1-", tokenUUID("pat-eu1-")},
	{"launchdarkly-key", "api-", tokenUUID("api-")},
	{"launchdarkly-key", "sdk-", tokenUUID("sdk-")},
	token("postman-key", "PMAK-", urlSafe, 59, 59),
	token("new-relic-key", "NRAK-", upperNum, 27, 27),
	token("grafana-token", "glsa_", wordChars, 41, 41),
	token("grafana-cloud-token", "glc_", base64Std, 32, 0),
	token("sentry-token", "sntrys_", letters(lower+upper+digits+"_+/="), 60, 0),
	token("sentry-token", "sntryu_", hexDigits, 64, 64),
	token("supabase-token", "sbp_", hexDigits, 40, 40),
	token("planetscale-token", "pscale_tkn_", dotted, 32, 0),
	token("planetscale-password", "pscale_pw_", dotted, 32, 0),
	token("atlassian-token", "ATATT3", letters(lower+upper+digits+"_-="), 100, 0),
	token("heroku-key", "HRKU-", urlSafe, 36, 0),
	token("netlify-token", "nfp_", alnum, 36, 40),
	token("pulumi-token", "pul-", hexDigits, 40, 40),
	token("tailscale-key", "tskey-", urlSafe, 24, 0),
	token("onepassword-token", "ops_eyJ", base64Std, 100, 0),
	token("dropbox-token", "sl.", urlSafe, 130, 0),
	token("age-secret-key", "AGE-SECRET-KEY-1", upperNum, 58, 58),
	{"azure-storage-key", "AccountKey=", base64Key("AccountKey=", 80)},
	{"azure-shared-access-key", "SharedAccessKey=", base64Key("SharedAccessKey=", 40)},
	{"azure-signature", "sig=", sharedSignature},
	{"azure-client-secret", "7Q~", around("7Q~", dotted, 3, 3, letters(lower+upper+digits+"_-.~"), 31)},
	{"azure-client-secret", "8Q~", around("8Q~", dotted, 3, 3, letters(lower+upper+digits+"_-.~"), 31)},
	{"telegram-bot-token", ":AA", around(":AA", numerals, 8, 10, urlSafe, 33)},
	{"json-web-token", "eyJ", jsonWebToken},
	{"private-key", "-----BEGIN ", privateKey},
	{"private-key", "PuTTY-User-Key-File-", puttyKey},
	{"url-password", "://", urlPassword},
	{"url-token", "://", urlToken},
	{"pgpass-password", ":5432:", pgpass},
	{"user-password", "-u ", userOption("-u ")},
	{"user-password", "--user ", userOption("--user ")},
	{"user-password", "chpasswd", chpasswd},
	{"kubernetes-secret", "kind:", kubernetesSecret},
	{"sql-password", "identified by ", identifiedBy},
	{"razorpay-key", "rzp_live_", razorpayKey},
	{"authorization-header", "authorization: token ", authorization("authorization: token ")},
	{"authorization-header", "authorization: api-token ", authorization("authorization: api-token ")},
	{"authorization-header", "bearer ", authorization("bearer ")},
	{"authorization-header", "basic ", authorization("basic ")},
}

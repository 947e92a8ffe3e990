package secretstest

import (
	"encoding/base64"
	"strings"
)

// form is how an issuer writes its secrets.
type form struct {
	family, name string
	make         func(maker) string
}

// token is a prefix and n characters of a set.
func token(family, prefix, set string, n int) form {
	return form{family, strings.TrimRight(prefix, "-_.=:"), func(m maker) string { return prefix + m.of(set, n) }}
}

// issued are the forms that can be told by themselves, wherever they stand.
var issued = []form{
	token("cloud", "AK"+"IA", caps[:26]+"234567", 16), token("cloud", "AS"+"IA", caps[:26]+"234567", 16), token("cloud", "AB"+"SK", std, 128),
	token("cloud", "AI"+"za", url, 35), token("cloud", "ya"+"29.", url, 120), token("cloud", "GOC"+"SPX-", url, 28), token("cloud", "1//"+"0", url, 80),
	{"cloud", "azure-client", func(m maker) string { return m.of(mixed, 3) + "8Q" + "~" + m.of(url, 34) }},
	{"cloud", "azure-client-7", func(m maker) string { return m.of(mixed, 3) + "7Q" + "~" + m.of(url, 34) }},
	token("cloud", "do"+"p_v1_", hex, 64), token("cloud", "do"+"o_v1_", hex, 64), token("cloud", "do"+"r_v1_", hex, 64),
	token("cloud", "LTA"+"I5t", mixed, 19), token("cloud", "AKI"+"D", mixed, 32), token("cloud", "HRK"+"U-AA", url, 58), token("cloud", "nf"+"p_", mixed, 36),
	token("cloud", "fo"+"1_", url, 43), token("cloud", "fm"+"2_", std, 120), token("cloud", "rnd"+"_", mixed, 32), token("cloud", "sbp"+"_", hex, 40),
	{"cloud", "cloudflare-origin", func(m maker) string { return "v1.0" + "-" + m.of(hex, 24) + "-" + m.of(hex, 146) }},
	token("cloud", "pul"+"-", hex, 40), token("cloud", "sl"+".", url, 140),
	{"cloud", "terraform", func(m maker) string { return m.of(mixed, 14) + ".atl" + "asv1." + m.of(url, 67) }},
	{"cloud", "dynatrace", func(m maker) string { return "dt0" + "c01." + m.of(caps, 24) + "." + m.of(caps, 64) }},
	{"cloud", "aws-session", func(m maker) string { return "IQoJb3J" + "pZ2luX2Vj" + m.of(std, 300) }},

	token("source hosting", "gh"+"p_", mixed, 36), token("source hosting", "gh"+"o_", mixed, 36), token("source hosting", "gh"+"u_", mixed, 36),
	token("source hosting", "gh"+"s_", mixed, 36), token("source hosting", "gh"+"r_", mixed, 36), token("source hosting", "github"+"_pat_", mixed+"_", 82),
	token("source hosting", "glp"+"at-", url, 20), token("source hosting", "glp"+"tt-", hex, 40), token("source hosting", "gld"+"t-", url, 20),
	token("source hosting", "glr"+"t-", url, 20), token("source hosting", "glcb"+"t-", url, 24), token("source hosting", "gls"+"oat-", url, 20),
	token("source hosting", "glage"+"nt-", url, 50), token("source hosting", "glf"+"t-", url, 20), token("source hosting", "gli"+"mt-", url, 25),
	token("source hosting", "ATAT"+"T3xFfGF0", url, 180), token("source hosting", "ATCT"+"T3xFfGN0", url, 180), token("source hosting", "ATB"+"B", mixed, 32),
	token("source hosting", "bku"+"a_", hex, 40), token("source hosting", "CCIP"+"AT_", mixed, 65), token("source hosting", "sq"+"u_", hex, 40),
	token("source hosting", "sq"+"p_", hex, 40), token("source hosting", "lin_"+"api_", mixed, 40), token("source hosting", "sgp"+"_", hex, 40),

	token("packages", "np"+"m_", mixed, 36), token("packages", "pyp"+"i-AgEIcHlwaS5vcmc", url, 150), token("packages", "ruby"+"gems_", hex, 48),
	token("packages", "dckr_"+"pat_", url, 27), token("packages", "dckr_"+"oat_", url, 32), token("packages", "ci"+"o", mixed, 32),
	token("packages", "oy"+"2", low, 43), token("packages", "CLOJ"+"ARS_", hex, 60),

	token("chat", "xo"+"xb-", digit+"-"+mixed, 54), token("chat", "xo"+"xp-", digit+"-"+mixed, 70), token("chat", "xo"+"xa-2-", mixed, 60),
	token("chat", "xo"+"xr-", mixed, 60), token("chat", "xo"+"xs-", mixed, 60), token("chat", "xo"+"xe.xoxp-1-", url, 160), token("chat", "xa"+"pp-1-A", url, 90),
	{"chat", "slack-webhook", func(m maker) string {
		return "hooks.slack" + ".com/services/T" + m.of(caps, 8) + "/B" + m.of(caps, 10) + "/" + m.of(mixed, 24)
	}},
	{"chat", "discord-webhook", func(m maker) string { return "discord" + ".com/api/webhooks/" + m.of(digit, 18) + "/" + m.of(url, 68) }},
	{"chat", "discord-webhook-old", func(m maker) string {
		return "discordapp" + ".com/api/webhooks/" + m.of(digit, 18) + "/" + m.of(url, 68)
	}},
	{"chat", "discord-bot", func(m maker) string { return "MT" + "A" + m.of(mixed, 23) + "." + m.of(url, 6) + "." + m.of(url, 38) }},
	{"chat", "telegram-bot", func(m maker) string { return m.of(digit, 10) + ":A" + "A" + m.of(url, 33) }},
	{"chat", "teams-webhook", func(m maker) string {
		return "webhook" + ".office.com/webhookb2/" + m.uuid() + "@" + m.uuid() + "/IncomingWebhook/" + m.of(hex, 32) + "/" + m.uuid()
	}},

	token("payment", "sk_"+"live_", mixed, 24), token("payment", "rk_"+"live_", mixed, 24), token("payment", "sk_"+"test_", mixed, 24), token("payment", "rk_"+"test_", mixed, 24),
	token("payment", "whs"+"ec_", std, 32), token("payment", "sq0"+"atp-", url, 22), token("payment", "sq0"+"csp-", url, 43), token("payment", "EAA"+"A", url, 60),
	token("payment", "shp"+"at_", hex, 32), token("payment", "shp"+"ca_", hex, 32), token("payment", "shp"+"pa_", hex, 32), token("payment", "shp"+"ss_", hex, 32),
	{"payment", "flutterwave", func(m maker) string { return "FLWS" + "ECK-" + m.of(hex, 32) + "-X" }},
	{"payment", "braintree", func(m maker) string { return "access_token$" + "production$" + m.of(low, 16) + "$" + m.of(hex, 32) }},
	token("payment", "duffel_"+"live_", url, 43), token("payment", "EZ"+"AK", mixed, 54), token("payment", "shippo_"+"live_", hex, 40),

	{"models", "openai", func(m maker) string { return "sk" + "-" + m.of(mixed, 20) + "T3Blb" + "kFJ" + m.of(mixed, 20) }},
	token("models", "sk-"+"proj-", url, 120), token("models", "sk-"+"svcacct-", url, 120), token("models", "sk-"+"admin-", url, 120),
	token("models", "sk-"+"ant-api03-", url, 95), token("models", "sk-"+"ant-admin01-", url, 95), token("models", "sk-"+"or-v1-", hex, 64), token("models", "gs"+"k_", mixed, 52),
	token("models", "xa"+"i-", mixed, 80), token("models", "r8"+"_", mixed, 37), token("models", "ppl"+"x-", mixed, 48), token("models", "hf"+"_", mixed, 34),
	token("models", "fw"+"_", mixed, 24), token("models", "nva"+"pi-", url, 64), token("models", "tv"+"ly-", url, 32), token("models", "pc"+"sk_", url, 70),
	{"models", "langsmith", func(m maker) string { return "lsv2" + "_pt_" + m.of(hex, 32) + "_" + m.of(hex, 10) }},
	{"models", "deepseek", func(m maker) string { return "sk" + "-" + m.of(hex, 32) }},

	{"mail", "sendgrid", func(m maker) string { return "S" + "G." + m.of(url, 22) + "." + m.of(url, 43) }},
	{"mail", "mailchimp", func(m maker) string { return m.of(hex, 32) + "-us" + "12" }},
	{"mail", "brevo", func(m maker) string { return "xkey" + "sib-" + m.of(hex, 64) + "-" + m.of(mixed, 16) }},
	{"mail", "twilio", func(m maker) string { return "S" + "K" + m.of(hex, 32) }},
	{"mail", "resend", func(m maker) string { return "re" + "_" + m.of(mixed, 8) + "_" + m.of(mixed, 24) }},

	token("services", "NRA"+"K-", caps, 27), token("services", "gls"+"a_", mixed+"_", 41), token("services", "gl"+"c_", std, 80), token("services", "sntry"+"u_", hex, 64),
	token("services", "sntry"+"s_", std, 120), token("services", "dp.p"+"t.", mixed, 43), token("services", "dp.s"+"t.", mixed, 43), token("services", "nt"+"n_", mixed, 46),
	token("services", "secret"+"_", mixed, 43), token("services", "fig"+"d_", url, 40), token("services", "CFP"+"AT-", url, 43), token("services", "phx"+"_", mixed, 44),
	token("services", "pscale_"+"tkn_", url, 43), token("services", "pscale_"+"pw_", url, 43), token("services", "tskey-"+"auth-", mixed+"-", 40), token("services", "rd"+"me_", low, 64),
	token("services", "dap"+"i", hex, 32), token("services", "pn"+"u_", mixed, 36), token("services", "ops_"+"eyJ", std, 250), token("services", "tf"+"p_", url, 59),
	{"services", "postman", func(m maker) string { return "PMA" + "K-" + m.of(hex, 24) + "-" + m.of(hex, 34) }},
	{"services", "airtable", func(m maker) string { return "pa" + "t" + m.of(mixed, 14) + "." + m.of(hex, 64) }},
	{"services", "hubspot", func(m maker) string { return "pat-" + "na1-" + m.uuid() }},
	{"services", "launchdarkly", func(m maker) string { return "api" + "-" + m.uuid() }},
	{"services", "openshift", func(m maker) string { return "sha256" + "~" + m.of(url, 43) }},
	{"services", "mapbox", func(m maker) string { return "sk" + ".eyJ" + m.of(url, 70) + "." + m.of(url, 22) }},

	token("vaults", "hv"+"s.", url, 92), token("vaults", "hv"+"b.", url, 140), token("vaults", "hv"+"r.", url, 92), token("vaults", "AGE-SECRET-"+"KEY-1", bech32, 58),
	{"vaults", "jwt", func(m maker) string {
		b64 := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
		return b64(`{"alg":"HS256","typ":"JWT"}`) + "." + b64(`{"sub":"`+m.of(digit, 10)+`","admin":true}`) + "." + m.of(url, 43)
	}},
	{"keys", "rsa", func(m maker) string { return m.pem("RSA PRIV"+"ATE KEY", 600) }},
	{"keys", "ec", func(m maker) string { return m.pem("EC PRIV"+"ATE KEY", 120) }},
	{"keys", "dsa", func(m maker) string { return m.pem("DSA PRIV"+"ATE KEY", 400) }},
	{"keys", "pkcs8", func(m maker) string { return m.pem("PRIV"+"ATE KEY", 600) }},
	{"keys", "pkcs8-encrypted", func(m maker) string { return m.pem("ENCRYPTED PRIV"+"ATE KEY", 600) }},
	{"keys", "openssh", func(m maker) string { return m.pem("OPENSSH PRIV"+"ATE KEY", 300) }},
	{"keys", "pgp", func(m maker) string { return m.pem("PGP PRIV"+"ATE KEY BLOCK", 500) }},

	{"services", "easypost-test", func(m maker) string { return "EZ" + "TK" + m.of(mixed, 54) }},
	{"chat", "slack-trigger", func(m maker) string {
		return "https://hooks.slack.com/tri" + "ggers/T" + m.of(caps, 10) + "/" + m.of(digit, 13) + "/" + m.of(hex, 32)
	}},
	{"payment", "razorpay", func(m maker) string { return "rzp" + "_live_" + m.of(mixed, 14) }},
	{"source hosting", "gitlab-runner", func(m maker) string { return "GR134" + "8941" + m.of(mixed, 20) }},
}

package kind

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/sheratan/sheratan/schemas"
)

// template is the command line of a kind of the operator's own, and what a job of it takes along.
type template struct {
	argv   []element
	params map[string]*param
	cwd    string // a parameter, "" is the first root
	env    map[string]string
	unsafe bool
	schema *schemas.Schema
}

// element makes no, one or several arguments. It is one of three: a literal; the whole of a parameter behind a literal
// prefix; or others that depend on a parameter.
type element struct {
	literal string
	prefix  string
	param   string
	when    string
	then    []element
}

// placeholder is the only form in which a parameter stands in a template: all that comes behind the prefix.
var placeholder = regexp.MustCompile(`^([^{}]*)\{([a-z][a-z0-9_]*)\}$`)

// shortOption is a prefix behind which a number or a path cannot make another option.
var shortOption = regexp.MustCompile(`^-[A-Za-z]$`)

// elements compiles the command line. That the program is a literal was checked.
func (c *compiler) elements() []element {
	out := []element{{literal: c.Argv[0].(string)}}
	option := "" // the literal before, where it is an option that may take the next argument
	for i, v := range c.Argv[1:] {
		at := "/argv/" + strconv.Itoa(i+1)
		object, _ := v.(map[string]any)
		when, conditional := object["if"].(string)
		if !conditional {
			var e element
			e, option = c.element(at, v, option, "")
			c.ended = c.ended || e.param == "" && e.literal == "--"
			out = append(out, e)
			continue
		}
		if c.Params.Properties[when] == nil {
			c.fault(at+"/if", "there is no parameter %q; /params/properties lists them", when)
			continue
		}
		if _, both := object["literal"]; both {
			c.fault(at, "has a literal and a condition; make two elements of it")
			continue
		}
		c.used[when] = true
		e := element{when: when}
		inner := ""
		ended := c.ended // a "--" that is not always there ends nothing
		for n, x := range object["then"].([]any) {
			var one element
			one, inner = c.element(at+"/then/"+strconv.Itoa(n), x, inner, when)
			e.then = append(e.then, one)
		}
		c.ended = ended
		option = ""
		out = append(out, e)
	}
	return out
}

// element compiles one that is a literal or a parameter. option is the literal before it, where that begins with "-";
// when is the parameter on which both depend. It returns the same for the next.
func (c *compiler) element(at string, v any, option, when string) (element, string) {
	if object, ok := v.(map[string]any); ok {
		s, ok := object["literal"].(string)
		if !ok {
			c.fault(at, "is neither a text, nor {\"literal\": …}, nor {\"if\": …, \"then\": […]}")
		}
		return c.literal(at, s)
	}
	s := v.(string)
	if !strings.ContainsAny(s, "{}") {
		return c.literal(at, s)
	}
	m := placeholder.FindStringSubmatch(s)
	if m == nil {
		c.fault(at, "%q: a parameter is \"{name}\", all of an argument or all of it behind a text; text with braces is {\"literal\": …}", s)
		return element{}, ""
	}
	e := element{prefix: m[1], param: m[2]}
	p := c.Params.Properties[e.param]
	if p == nil {
		c.fault(at, "there is no parameter %q; /params/properties lists them", e.param)
		return e, ""
	}
	c.used[e.param] = true
	c.checkElement(at, e, p)
	if option != "" && e.prefix == "" && e.param != when && !c.required(e.param) && p.mayBeNone() {
		c.fault(at, "where %q is left out, %q would take the argument behind it; write {\"if\": \"%s\", \"then\": [%q, \"{%s}\"]}",
			e.param, option, e.param, option, e.param)
	}
	return e, ""
}

func (c *compiler) literal(at, s string) (element, string) {
	if strings.IndexByte(s, 0) >= 0 || len(s) > MaxArgBytes {
		c.fault(at, "no argument can have NUL, or more than %d bytes", MaxArgBytes)
	}
	if strings.HasPrefix(s, "-") && s != "-" && s != "--" && !strings.Contains(s, "=") {
		return element{literal: s}, s
	}
	return element{literal: s}, ""
}

func (c *compiler) required(name string) bool {
	for _, r := range c.Params.Required {
		if r == name {
			p := c.Params.Properties[name]
			return p.Type != typeArray || p.MinItems > 0
		}
	}
	return false
}

// checkElement refuses a place in which the parameter could become an option that the template does not have.
func (c *compiler) checkElement(at string, e element, p *param) {
	item := p.item()
	if p.path {
		item = &param{Type: typeString, path: true}
	}
	why := item.beginsWithDash()
	switch {
	case c.ended:
	case e.prefix == "":
		if why != "" {
			c.fault(at, "\"{%s}\": %s", e.param, why)
		}
	case !strings.HasPrefix(e.prefix, "-") || strings.Contains(e.prefix, "="):
	case shortOption.MatchString(e.prefix) && (p.path || item.Type == typeInteger && why == ""):
	case len(item.Enum) > 0 && len(e.prefix) > 1:
	default:
		c.fault(at, "what comes behind %q could make another option of it; write the name of the option and \"=\": \"--name={%s}\"", e.prefix, e.param)
	}
}

package sandbox

var archEscapes []escape

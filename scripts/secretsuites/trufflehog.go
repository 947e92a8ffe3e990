package main

import (
	"context"
)

type trufflehog struct{}

const (
	trufflehogModule  = "github.com/trufflesecurity/trufflehog/v3"
	trufflehogVersion = "v3.90.8"
)

func (trufflehog) name() string { return "trufflehog " + trufflehogVersion }

func (trufflehog) samples(ctx context.Context) ([]sample, error) {
	_, err := module(ctx, trufflehogModule, trufflehogVersion)
	return nil, err
}

package seed

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"keel/vmkernel/audit"
)

func TestACollectorIsReadAsWritten(t *testing.T) {
	host := DefaultHost()
	host.Audit.Collector = &audit.Collector{Address: "logs.example:6514", Name: "logs", CA: string(operatorCA(t, "logs").CertificatePEM()),
		Pin: "SHA256:" + strings.Repeat("A", 43), Bare: true}
	s, err := Parse(pack(t, host, nil, nil))
	if err != nil || !reflect.DeepEqual(s.Host, host) {
		t.Errorf("%+v, %v\nwant %+v", s, err, host)
	}
}

func TestACollectorThatCantBeMeantIsRefused(t *testing.T) {
	pem, _ := json.Marshal(string(operatorCA(t, "logs").CertificatePEM()))
	for text, want := range map[string]string{
		`"logs.example"`:  `is not a group of keys`,
		`{"ca":"x"}`:      `.address: is missing`,
		`{"address":"a"}`: `neither ca nor pin is given`,
		`{"address":"a b","pin":"SHA256:` + strings.Repeat("A", 43) + `"}`: `address "a b" is none`,
		`{"address":"a","ca":"ca.pem"}`:                                    `ca holds something else than PEM certificates`,
		`{"address":"a","pin":"x"}`:                                        `.pin: "x" is not a key's fingerprint`,
		`{"address":"a","ca":` + string(pem) + `,"port":1}`:                `.port: `,
		`{"address":"a","ca":` + string(pem) + `,"bare":"x"}`:              `.bare: `,
	} {
		_, err := Parse(ofJSON(t, `{"apiVersion":"keel/v1","host":{"audit":{"collector":`+text+`}},FILES}`))
		if err == nil || !strings.Contains(err.Error(), "seed: keel.json: host.audit.collector") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

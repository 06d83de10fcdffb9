package main

import (
	"crypto/hmac"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"github.com/minio/minio-go/v7/pkg/signer"
)

// permit is a POST policy of S3 that the operator signed: one key, so many bytes, so long.
type permit struct {
	bucket, key, region string
	least, most         int64
	expires             time.Time
}

// permitFields are all that a permit's form has before the file. What a policy does not fix could say more than it does.
var permitFields = []string{"key", "policy", "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature"}

func denied(cause string) error {
	return &refusal{403, "AccessDenied", cause + " Nothing was stored. Ask for a new permit.", 0}
}

// checkPermit finds out what a form's fields allow, for a form that was sent to that bucket.
func checkPermit(fields map[string]string, bucket string, key keyPair, now time.Time) (permit, error) {
	for _, name := range permitFields {
		if _, there := fields[name]; !there || len(fields) != len(permitFields) {
			return permit{}, denied("The fields are not those of a permit: " + strings.Join(permitFields, ", ") + ", and then `file`.")
		}
	}
	scope := strings.Split(fields["x-amz-credential"], "/")
	signed, err := time.Parse("20060102T150405Z", fields["x-amz-date"])
	switch {
	case err != nil || fields["x-amz-algorithm"] != "AWS4-HMAC-SHA256":
		return permit{}, denied("The permit is signed in a way that is not known here.")
	case len(scope) != 5 || scope[1] != signed.Format("20060102") || scope[3] != "s3" || scope[4] != "aws4_request":
		return permit{}, denied("The permit is signed for something else.")
	case scope[0] != key.AccessKey:
		return permit{}, &refusal{403, "InvalidAccessKeyId", "The permit is not signed by the operator. Nothing was stored. Ask for a new one.", 0}
	}
	signature := signer.PostPresignSignatureV4(fields["policy"], signed, key.SecretKey, scope[2])
	if !hmac.Equal([]byte(signature), []byte(fields["x-amz-signature"])) {
		return permit{}, &refusal{403, "SignatureDoesNotMatch", "The permit's signature is not the operator's. Nothing was stored. Ask for a new one.", 0}
	}
	found, err := readPolicy(fields, bucket)
	if err != nil {
		return permit{}, err
	}
	found.region = scope[2]
	if !now.Before(found.expires) {
		return permit{}, denied("The permit has expired.")
	}
	return found, nil
}

// readPolicy reads what was signed, and looks whether the form keeps to it.
func readPolicy(fields map[string]string, bucket string) (permit, error) {
	var policy struct {
		Expiration time.Time           `json:"expiration"`
		Conditions [][]json.RawMessage `json:"conditions"`
	}
	text, err := base64.StdEncoding.DecodeString(fields["policy"])
	if err == nil {
		err = json.Unmarshal(text, &policy)
	}
	if err != nil {
		return permit{}, denied("The permit's policy cannot be read.")
	}
	found := permit{bucket: bucket, key: fields["key"], expires: policy.Expiration}
	fixed := map[string]string{}
	for _, condition := range policy.Conditions {
		var kind, name, value string
		if len(condition) != 3 || json.Unmarshal(condition[0], &kind) != nil {
			return permit{}, denied("The permit has a condition that is not known here.")
		}
		first, second := condition[1], condition[2]
		switch {
		case kind == "content-length-range" && json.Unmarshal(first, &found.least) == nil && json.Unmarshal(second, &found.most) == nil:
		case kind == "eq" && json.Unmarshal(first, &name) == nil && json.Unmarshal(second, &value) == nil:
			fixed[strings.ToLower(strings.TrimPrefix(name, "$"))] = value
		default:
			return permit{}, denied("The permit has a condition that is not known here.")
		}
	}
	if fixed["bucket"] != bucket || strings.Contains(bucket, "/") || fixed["key"] != found.key || found.key == "" || found.most < 1 {
		return permit{}, denied("The permit is for another key or bucket, or for any number of bytes.")
	}
	for name, value := range fixed {
		if name != "bucket" && fields[name] != value {
			return permit{}, denied("The form has another " + name + " than the permit.")
		}
	}
	found.least = max(found.least, 1)
	return found, nil
}

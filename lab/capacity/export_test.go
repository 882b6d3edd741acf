package capacity

// WireSizes are the model's bytes of JSON.
func WireSizes() map[string]float64 {
	return map[string]float64{"trigger": triggerJSON, "result": resultJSON, "attempt": attemptJSON}
}

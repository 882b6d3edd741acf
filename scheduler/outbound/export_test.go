package outbound

// Forbidden is for the table of addresses.
var Forbidden = forbidden

// Package health tells from facts whether the backups of a database are as they
// should be. It asks nobody and reads no clock: who calls it brings the facts,
// which are those of the worker's pulse and those of Temporal, and the time.
//
// What it finds are problems of a closed set of kinds, whose names are stable:
// they are the labels of metrics and the words of alerts.
package health

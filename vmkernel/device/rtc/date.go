package rtc

import "time"

// dateRegs are the registers that together are the date. The weekday is one
// to read, but follows from the others.
var dateRegs = [...]uint8{regSecond, regMinute, regHour, regWeekday, regDay, regMonth, regYear, regCentury}

func isDate(reg uint8) bool {
	switch reg {
	case regSecond, regMinute, regHour, regWeekday, regDay, regMonth, regYear, regCentury:
		return true
	}
	return false
}

func isAlarm(reg uint8) bool {
	return reg == regSecondAlarm || reg == regMinuteAlarm || reg == regHourAlarm
}

// hold writes the present date into its registers.
func (r *RTC) hold() {
	sec := r.now().sec
	for _, reg := range dateRegs {
		r.ram[reg] = r.encode(reg, sec)
	}
}

// encode returns what a date register shows at sec.
func (r *RTC) encode(reg uint8, sec int64) uint8 {
	t := time.Unix(sec, 0).UTC()
	switch reg {
	case regSecond:
		return r.fromInt(t.Second())
	case regMinute:
		return r.fromInt(t.Minute())
	case regHour:
		return r.fromHour(t.Hour())
	case regWeekday:
		return r.fromInt(int(t.Weekday()) + 1)
	case regDay:
		return r.fromInt(t.Day())
	case regMonth:
		return r.fromInt(int(t.Month()))
	}
	year := (t.Year()%10000 + 10000) % 10000
	if reg == regCentury {
		return r.fromInt(year / 100)
	}
	return r.fromInt(year % 100)
}

// decode returns the time that the date registers hold. What isn't a date,
// such as the 31st of February, is the date so many days later.
func (r *RTC) decode() int64 {
	return time.Date(
		r.toInt(r.ram[regCentury])*100+r.toInt(r.ram[regYear]),
		time.Month(r.toInt(r.ram[regMonth])),
		r.toInt(r.ram[regDay]),
		r.toHour(r.ram[regHour]),
		r.toInt(r.ram[regMinute]),
		r.toInt(r.ram[regSecond]),
		0, time.UTC).Unix()
}

// fromInt returns v, 0 to 99, in the format that register B selects.
func (r *RTC) fromInt(v int) uint8 {
	if r.ram[regB]&bBinary != 0 {
		return uint8(v)
	}
	return uint8(v/10<<4 | v%10)
}

// toInt is the reverse of fromInt; any byte is a number.
func (r *RTC) toInt(v uint8) int {
	if r.ram[regB]&bBinary != 0 {
		return int(v)
	}
	return int(v>>4)*10 + int(v&15)
}

const pm = 1 << 7 // in the hour register with a 12-hour clock

func (r *RTC) fromHour(h int) uint8 {
	if r.ram[regB]&b24Hour != 0 {
		return r.fromInt(h)
	}
	v := r.fromInt((h+11)%12 + 1)
	if h >= 12 {
		v |= pm
	}
	return v
}

func (r *RTC) toHour(v uint8) int {
	if r.ram[regB]&b24Hour != 0 {
		return r.toInt(v)
	}
	h := r.toInt(v&^pm) % 12
	if v&pm != 0 {
		h += 12
	}
	return h
}

// An alarmTime is a time of day; a negative part matches any.
type alarmTime struct {
	hour, minute, second int
}

func (r *RTC) alarm() alarmTime {
	a := alarmTime{-1, -1, -1}
	// The two highest bits set mean "don't care".
	if v := r.ram[regHourAlarm]; v < 0xc0 {
		a.hour = r.toHour(v)
	}
	if v := r.ram[regMinuteAlarm]; v < 0xc0 {
		a.minute = r.toInt(v)
	}
	if v := r.ram[regSecondAlarm]; v < 0xc0 {
		a.second = r.toInt(v)
	}
	return a
}

// after returns how many seconds, 1 to 86,400, pass from the time sec until
// the alarm, or 0 if it is at no time of day.
func (a alarmTime) after(sec int64) int64 {
	const day = 24 * 3600
	if a.hour > 23 || a.minute > 59 || a.second > 59 {
		return 0
	}
	now := int((sec%day + day) % day)
	for k := 0; k <= 24; k++ { // this hour comes first and, if past, last
		h := (now/3600 + k) % 24
		if a.hour >= 0 && a.hour != h {
			continue
		}
		from := h * 3600 // the first time within this hour that counts
		if k == 0 {
			from = now + 1
		}
		if t := a.within(h, from); t >= 0 {
			if t <= now {
				t += day
			}
			return int64(t - now)
		}
	}
	return 0
}

// within returns the first time of day in hour h that is not before from and
// whose minute and second match, or -1.
func (a alarmTime) within(h, from int) int {
	for m := range 60 {
		begin := h*3600 + m*60
		if a.minute >= 0 && a.minute != m || begin+59 < from {
			continue
		}
		t := begin + a.second
		if a.second < 0 {
			t = max(begin, from)
		}
		if t >= from {
			return t
		}
	}
	return -1
}

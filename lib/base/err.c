#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>

int
err_set(struct err *err, int rc, const char *format, ...)
{
	va_list ap;

	if (err == NULL)
		return rc;
	va_start(ap, format);
	vsnprintf(err->text, sizeof(err->text), format, ap);
	va_end(ap);
	return rc;
}

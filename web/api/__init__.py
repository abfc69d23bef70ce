"""JSON at `/api/v1`, one module for each resource; its errors are RFC 9457 problems."""
